"""Which methods a path serves: each has its function in the spec, its handler and its access rule."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from execution_engine.core import context as at_work
from execution_engine.core.errors import InternalError, InvalidParams, MethodNotFound
from execution_engine.rpc.explain import closest, cut, found
from execution_engine.rpc.model import Authentication, Function, Module, Structure, Type, resolve
from execution_engine.rpc.schema import Policy, parameter_schema, result_schema
from execution_engine.rpc.validation import Check, check_text
from execution_engine.rpc.voices import Voice

__all__ = ["Access", "Handler", "Method", "Policy", "Registry"]

Handler = Callable[[Any, dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a method.

    name, description: for the reference.
    admit: from the Authorization header (None: there is none) to the caller, which is handed to the handler and means
        nothing to this package; it raises to refuse.
    authentication: what the spec must say of a method with this rule.
    """

    name: str
    description: str
    admit: Callable[[str | None], Any]
    authentication: Authentication = "required"


class Method:
    """One method that can be called."""

    def __init__(
        self, function: Function, handler: Handler, access: Access, policy: Policy, *, large_body: bool = False
    ) -> None:
        self.function = function
        self.handler = handler
        self.access = access
        self.large_body = large_body
        self._policy = policy
        self._type: Type = function.parameters[0].type if function.parameters else Structure(())
        self._check = Check(parameter_schema(function, policy), "params")

    def call(self, authorization: str | None, params: Any, *, odd_text: bool = True) -> Any:
        """Admits the caller, checks the parameters, and answers what the handler returns.

        Args:
            authorization: the Authorization header.
            params: as they stand in the request.
            odd_text: False if it is known that no string has a NUL or a surrogate in it.

        Raises:
            EngineError: and whatever else the handler raises.
        """
        caller = self.access.admit(authorization)
        structure = self._structure(params)
        self._check(structure)  # first: it ends at the first fault, and bounds the number of items
        if odd_text:
            check_text(structure, self._type, "params")
        if "job_id" in structure:
            at_work.job.set(str(structure["job_id"]))
        return self.handler(caller, structure)

    def check_result(self, result: Any) -> None:
        """Raises InternalError if a result is not what the spec promises."""
        try:
            self._result_check(result)
        except InvalidParams as error:
            raise InternalError(f"{self.function.name} answers what its spec does not say: {error}") from None

    @cached_property
    def _result_check(self) -> Check:
        return Check(result_schema(self.function, self._policy), "result")

    def _structure(self, params: Any) -> dict[str, Any]:
        """The method's one structure, sent in an array as KBase does or as it is; none is an empty one."""
        name = self.function.name
        if params is None or params == []:
            return {}
        if isinstance(params, list):
            if len(params) > 1:
                raise InvalidParams(f"params: {name} takes one structure, found {len(params)} values")
            params = params[0]
        if not isinstance(params, dict):
            raise InvalidParams(f"params: expected an array that holds one object, found {found(params)}")
        if params and not self.function.parameters:
            raise InvalidParams(f"params: {name} takes no parameters")
        return params


class Registry:
    """The methods of one module, as one path serves them."""

    def __init__(self, module: Module, policy: Policy, voice: Voice) -> None:
        """Raises ValueError if a function of the module takes or returns more than one value."""
        self.module = module
        self.policy = policy
        self.voice = voice
        self.methods: dict[str, Method] = {}
        self._by_wire_name: dict[str, Method] = {}
        for function in module.functions.values():
            _check_shape(function)

    def add(self, name: str, handler: Handler, access: Access, *, large_body: bool = False) -> None:
        """Binds a function of the spec to its code.

        Args:
            name: without the module.
            handler: takes the caller and the structure of parameters (empty if the function has none).
            access: who may call it.
            large_body: whether its requests may have the larger of the two sizes.

        Raises:
            ValueError: the spec has no such function, it is bound already, or its authentication clause is another
                than the rule's.
        """
        function = self.module.functions.get(name)
        if function is None:
            raise ValueError(f"{name} is not in the spec of {self.module.name}{closest(name, self.module.functions)}")
        if name in self.methods:
            raise ValueError(f"{name} is bound twice")
        if function.authentication != access.authentication:
            raise ValueError(
                f"{name}: the spec says authentication {function.authentication}, "
                f"its access rule {access.name!r} says {access.authentication}"
            )
        method = Method(function, handler, access, self.policy, large_body=large_body)
        self.methods[name] = self._by_wire_name[name] = self._by_wire_name[f"{self.module.name}.{name}"] = method

    def check_complete(self) -> None:
        """Raises ValueError if a function of the spec has no code and access rule."""
        missing = [name for name in self.module.functions if name not in self.methods]
        if missing:
            raise ValueError(f"in the spec of {self.module.name}, but bound to no code: {', '.join(missing)}")

    def methods_in_order(self) -> list[Method]:
        """The bound methods, in the order of the spec."""
        return [self.methods[name] for name in self.module.functions if name in self.methods]

    def find(self, wire_name: str) -> Method:
        """The method that a request names, with its module or without; raises MethodNotFound."""
        method = self._by_wire_name.get(wire_name)
        if method is None:
            raise MethodNotFound(self._why_not(wire_name))
        return method

    def _why_not(self, wire_name: str) -> str:
        module, dot, name = wire_name.rpartition(".")
        if dot and module != self.module.name:
            return f"There is no module {found(module)} at this path; it serves {self.module.name}."
        hint = closest(name, self.methods) or "."
        return f"There is no method {cut(repr(name), 60)} in {self.module.name}{hint}"


def _check_shape(function: Function) -> None:
    parameters = function.parameters
    if len(parameters) > 1 or (parameters and not isinstance(resolve(parameters[0].type), Structure)):
        raise ValueError(f"{function.name}: expected at most one parameter, a structure")
    if len(function.results) > 1:
        raise ValueError(f"{function.name}: expected at most one returned value, found {len(function.results)}")
