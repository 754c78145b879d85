"""From the parse tree of a KIDL text to its model: names resolved, comments attached, annotations applied."""

import re
from typing import Any, cast

from lark import Token, Tree

from execution_engine.rpc.doc_comments import comment_annotations, comment_text
from execution_engine.rpc.model import (
    Annotations,
    Authentication,
    Field,
    Function,
    ListOf,
    MappingOf,
    Module,
    Parameter,
    Scalar,
    Structure,
    TupleOf,
    Type,
    Typedef,
    Unspecified,
)

# A comment such as /* ---- look up ---- */ or /* ---- control: for owners ---- */ is a heading of what follows.
_HEADING = re.compile(r"/\*\s*-{3,}\s*(.*?)\s*-{3,}\s*\*/", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

Node = Tree[Token]


class Misuse(Exception):
    """The text follows the grammar but makes no sense; ``position`` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class Builder:
    """Builds the modules of one text.

    ``known`` are the modules whose types the text may name; the text's own are added to it.
    """

    def __init__(self, text: str, known: dict[str, Module]) -> None:
        self._comments = list(_COMMENT.finditer(text))
        self._known = known
        self._module = Module("", "")
        self._component_end = 0

    def modules(self, tree: Node) -> dict[str, Module]:
        """The text's own modules by name; raises Misuse."""
        built: dict[str, Module] = {}
        for node in _trees(tree):
            if node.data == "module":
                self._build_module(node)
                built[self._module.name] = self._known[self._module.name] = self._module
        return built

    def _build_module(self, node: Node) -> None:
        keyword, _service, name, *components = cast("list[Any]", node.children)
        self._module = Module(_name(name), comment_text(self._comment_before(keyword)[0]))
        self._component_end = name.meta.end_pos
        section: Authentication = "none"
        for component in components:
            if component.data == "section":
                section = _level(component.children[0])
                continue
            if component.data == "typedef":
                self._build_typedef(component)
            else:
                self._build_function(component, section)
            self._component_end = component.meta.end_pos

    def _comment_before(self, keyword: Any) -> tuple[str, int]:
        """The last comment between the component before and this keyword, and where it stands."""
        for comment in reversed(self._comments):
            if self._component_end <= comment.start() and comment.end() <= keyword.start_pos:
                return comment[0], comment.start()
        return "", 0

    def _heading_above(self, node: Node) -> str:
        headings = [_HEADING.fullmatch(c[0]) for c in self._comments if c.end() <= node.meta.start_pos]
        return next((heading[1] for heading in reversed(headings) if heading), "")

    def _build_typedef(self, node: Node) -> None:
        keyword, type_node, name_node = node.children
        comment, position = self._comment_before(keyword)
        try:
            annotations = comment_annotations(comment)
        except ValueError as error:
            raise Misuse(str(error), position) from None
        name = _name(name_node)
        if name in self._module.typedefs:
            raise Misuse(f"the type {name} is defined twice", _start(name_node))
        target = _with_optional(self._type(type_node), annotations, name, _start(name_node))
        self._module.typedefs[name] = Typedef(self._module.name, name, target, comment_text(comment), annotations)

    def _build_function(self, node: Node, section: Authentication) -> None:
        async_, keyword, name_node, parameters, results, level = node.children
        doc = comment_text(self._comment_before(async_ or keyword)[0])
        name = _name(name_node)
        if name in self._module.functions:
            raise Misuse(f"the function {name} is defined twice", _start(name_node))
        self._module.functions[name] = Function(
            name,
            self._parameters(parameters),
            self._parameters(results),
            section if level is None else _level(level),
            doc,
            self._heading_above(node),
        )

    def _parameters(self, node: Any) -> tuple[Parameter, ...]:
        return tuple(self._parameter(child) for child in node.children if child is not None)

    def _parameter(self, node: Any) -> Parameter:
        type_node, name = node.children
        return Parameter(None if name is None else _name(name), self._type(type_node))

    def _type(self, node: Any) -> Type:
        parts = node.children
        built: Type
        match node.data:
            case "scalar":
                built = Scalar(cast("Any", str(parts[0])))
            case "unspecified":
                built = Unspecified()
            case "list_of":
                built = ListOf(self._type(parts[0]))
            case "mapping":
                built = MappingOf(self._type(parts[0]), self._type(parts[2]))
            case "tuple_of":
                built = TupleOf(tuple(self._parameter(part) for part in parts))
            case "structure":
                built = self._structure(parts)
            case _:
                built = self._reference(node)
        return built

    def _structure(self, parts: list[Any]) -> Structure:
        fields: dict[str, Field] = {}
        for part in parts:
            type_node, name_node = part.children
            name = _name(name_node)
            if name in fields:
                raise Misuse(f"the field {name} is there twice", _start(name_node))
            fields[name] = Field(name, self._type(type_node), optional=False)
        return Structure(tuple(fields.values()))

    def _reference(self, node: Any) -> Typedef:
        module_node, name_node = node.children
        module_name = self._module.name if module_node is None else _name(module_node)
        module = self._module if module_name == self._module.name else self._known.get(module_name)
        if module is None:
            raise Misuse(f"there is no module {module_name}; include its file first", _start(node))
        typedef = module.typedefs.get(_name(name_node))
        if typedef is None:
            raise Misuse(f"there is no type {_name(name_node)} above this line", _start(node))
        return typedef


def _with_optional(type_: Type, annotations: Annotations, name: str, position: int) -> Type:
    """The structure with the fields optional that ``@optional`` names."""
    if not isinstance(type_, Structure):
        return type_
    unknown = [field for field in annotations.optional if field not in {known.name for known in type_.fields}]
    if unknown:
        raise Misuse(f"@optional names {', '.join(unknown)}, but {name} has no such field", position)
    return Structure(tuple(Field(f.name, f.type, f.name in annotations.optional) for f in type_.fields))


def _trees(node: Node) -> list[Node]:
    return [child for child in node.children if isinstance(child, Tree)]


def _name(node: Any) -> str:
    return str(node.children[0])


def _level(node: Any) -> Authentication:
    return cast("Authentication", str(node.children[0]))


def _start(node: Any) -> int:
    return cast("int", node.meta.start_pos)
