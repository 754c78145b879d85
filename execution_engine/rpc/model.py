"""What a KIDL file says, as plain values.

A type is one of the classes below; a reference to a named type is the ``Typedef`` itself. KIDL wants a type to be
defined before it is used, so a type never contains itself.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Authentication = Literal["required", "optional", "none"]


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number; None: unbounded on that side."""

    low: float | None
    high: float | None
    low_included: bool = True
    high_included: bool = True


@dataclass(frozen=True, slots=True)
class Annotations:
    """What the ``@`` lines of a doc comment ask of values of a type."""

    optional: tuple[str, ...] = ()
    range: Range | None = None
    enum: tuple[str, ...] | None = None
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, an int or a float."""

    kind: Literal["string", "int", "float"]


@dataclass(frozen=True, slots=True)
class Unspecified:
    """Any JSON value."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array whose items are all of one type."""

    item: "Type"


@dataclass(frozen=True, slots=True)
class MappingOf:
    """An object with any keys; the keys are a scalar, in JSON always written as strings."""

    key: "Type"
    value: "Type"


@dataclass(frozen=True, slots=True)
class TupleOf:
    """An array of a fixed length."""

    items: tuple["Parameter", ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structure."""

    name: str
    type: "Type"
    optional: bool


@dataclass(frozen=True, slots=True)
class Structure:
    """An object with named fields, in the order of the file."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Typedef:
    """A named type. ``doc`` is the comment without its annotations."""

    module: str
    name: str
    target: "Type"
    doc: str
    annotations: Annotations


Type: TypeAlias = Scalar | Unspecified | ListOf | MappingOf | TupleOf | Structure | Typedef


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter, a returned value or an item of a tuple; the name is optional in KIDL."""

    name: str | None
    type: Type


@dataclass(frozen=True, slots=True)
class Function:
    """One method of a module. ``heading``: the nearest ``/* ---- heading ---- */`` above it."""

    name: str
    parameters: tuple[Parameter, ...]
    results: tuple[Parameter, ...]
    authentication: Authentication
    doc: str
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Module:
    """A module: its types and functions by name, in the order of the file."""

    name: str
    doc: str
    typedefs: dict[str, Typedef] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)


def resolve(type_: Type) -> Type:
    """The type behind all names."""
    while isinstance(type_, Typedef):
        type_ = type_.target
    return type_
