"""What a client group means in a pool: which slots serve it, and whose share its jobs are counted for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from execution_engine.backends.condor.language import check_expression, literal, text
from execution_engine.backends.options import Options
from execution_engine.core.errors import ConfigurationError

_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ACCOUNTING_GROUP = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_CONCURRENCY_LIMITS = re.compile(r"[A-Za-z0-9_.-]+(:[0-9.]+)?(\s*,\s*[A-Za-z0-9_.-]+(:[0-9.]+)?)*")


@dataclass(frozen=True, slots=True)
class Groups:
    """The settings of a backend that depend on the client group; the key ``""`` is for groups without their own.

    The keys are in lower case, as option names are; groups are looked up without regard to case, as HTCondor compares.

    ``attribute`` is the attribute of slots that must have the group's name as value, ``everywhere`` a ClassAd
    expression that all slots must fulfil; both may be empty. ``requirements`` take the place of the attribute for
    single groups.
    """

    attribute: str = ""
    everywhere: str = ""
    requirements: Mapping[str, str] = field(default_factory=dict)
    accounting_groups: Mapping[str, str] = field(default_factory=dict)
    concurrency_limits: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_options(cls, options: Options, where: str) -> "Groups":
        """Reads the options of a section; ``where`` is what error texts call it.

        Raises:
            ConfigurationError: a value is not of the form that HTCondor takes.
        """
        attribute, everywhere = options.text("group-attribute", ""), options.text("requirements", "")
        requirements = options.by_group("requirements")
        if attribute and not _ATTRIBUTE.fullmatch(attribute):
            raise ConfigurationError(
                f"{where} group-attribute is {attribute!r}; expected the name of an attribute like CLIENTGROUP."
            )
        for key, expression in {"": everywhere, **requirements}.items():
            if expression:
                _check_requirements(f"{where} requirements{'.' + key if key else ''}", expression)
        return cls(
            attribute,
            everywhere,
            requirements,
            _named(options, where, "accounting-group", _ACCOUNTING_GROUP, "group_kbase.narrative"),
            _named(options, where, "concurrency-limits", _CONCURRENCY_LIMITS, "KBASE_DB, LICENSES:2"),
        )

    def slots_of(self, client_group: str) -> str:
        """The ClassAd expression that holds on every slot that serves the group."""
        own = self.requirements.get(client_group.lower(), "")
        if not own and self.attribute:
            own = f"{self.attribute} == {text(client_group)}"
        return " && ".join(f"({part})" for part in (self.everywhere, own) if part) or "true"

    def accounting_group(self, client_group: str) -> str:
        """Empty if there is none."""
        return _of(client_group, self.accounting_groups)

    def limits(self, client_group: str) -> str:
        """The concurrency limits, separated by commas; empty if there are none."""
        return _of(client_group, self.concurrency_limits)


def _of(client_group: str, values: Mapping[str, str]) -> str:
    return values.get(client_group.lower(), values.get("", ""))


def constraint(name: str, value: str) -> str | None:
    """What an app wants of a machine, as a ClassAd expression; None if no attribute can have that name."""
    return f"TARGET.{name} == {text(value)}" if _ATTRIBUTE.fullmatch(name) else None


def _check_requirements(what: str, expression: str) -> None:
    try:
        check_expression(expression)
        literal(expression)
    except ValueError as error:
        raise ConfigurationError(
            f'{what} is {expression!r}; expected a ClassAd expression over slots like CLIENTGROUP == "njs" ({error}).'
        ) from error


def _named(options: Options, where: str, key: str, form: re.Pattern[str], example: str) -> dict[str, str]:
    """An option that may be written once for all groups and once for single ones."""
    values = {"": options.text(key, ""), **options.by_group(key)}
    for group, value in values.items():
        if value and not form.fullmatch(value):
            name = f"{key}.{group}" if group else key
            raise ConfigurationError(f"{where} {name} is {value!r}; expected something like {example}.")
    return values
