"""The WSGI application in front: answers the RPC paths itself and hands everything else on.

It stands before the web framework's dispatch, because that costs more than a whole call does here.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from execution_engine.core import context as at_work
from execution_engine.core.errors import EngineError, HttpMethodNotAllowed
from execution_engine.rpc.calls import Calls, Context, Translate, Written
from execution_engine.rpc.limits import Limits
from execution_engine.rpc.protection import PROTECTION
from execution_engine.rpc.reading import Environ, read_body
from execution_engine.rpc.registry import Registry

StartResponse = Callable[..., Any]
WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]

_STATUS = {200: "200 OK", 204: "204 No Content", 500: "500 Internal Server Error"}
_HEADER_NAMES = re.compile(r"[A-Za-z0-9_-]+(?:\s*,\s*[A-Za-z0-9_-]+)*")
_HEADERS = [
    # Without a charset: KBase's clients compare the whole value.
    ("Content-Type", "application/json"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "X-Request-Id"),
    ("Cache-Control", "no-store"),
    *PROTECTION,
]


class RpcApplication:
    """Serves each registry at its path, exactly there, with or without a slash at the end."""

    def __init__(
        self,
        mounts: Mapping[str, Registry],
        fallback: WsgiApplication,
        limits: Limits | None = None,
        *,
        translate: Translate | None = None,
        check_results: bool = False,
    ) -> None:
        """Raises ValueError if a registry is not complete.

        Args:
            mounts: registries by path, as in ``/services/ee``.
            fallback: serves all other paths.
            limits: of requests.
            translate: makes an EngineError of an exception of another kind that a handler let through; None: it can't.
            check_results: whether results are held against the spec as well; for tests.
        """
        self._registries: dict[str, Registry] = {}
        for path, registry in mounts.items():
            registry.check_complete()
            bare = path.rstrip("/")
            self._registries[bare] = self._registries[f"{bare}/"] = registry
        self._fallback = fallback
        self._limits = limits or Limits()
        self._calls = Calls(self._limits.body, translate, check_results=check_results)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One HTTP request."""
        registry = self._registries.get(environ.get("PATH_INFO", ""))
        if registry is None:
            return self._fallback(environ, start_response)
        context = Context(registry, environ.get("HTTP_AUTHORIZATION"), secrets.token_hex(8))
        marked = at_work.request_id.set(context.request_id)
        try:
            return self._serve(context, environ, start_response)
        finally:
            at_work.request_id.reset(marked)
            at_work.begin_call()

    def _serve(self, context: Context, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        headers = [*_HEADERS, ("X-Request-Id", context.request_id)]
        http_method = environ["REQUEST_METHOD"]
        if http_method == "POST":
            written = self._post(context, environ)
        elif http_method == "OPTIONS":
            written = Written(200, b"")
            headers += _preflight(environ)
        else:
            written = self._calls.refuse(context, HttpMethodNotAllowed(f"HTTP {http_method} not allowed."))
        if written.status != 204:
            headers.append(("Content-Length", str(len(written.body))))
        start_response(_STATUS[written.status], headers)
        return [] if http_method == "HEAD" else [written.body]

    def _post(self, context: Context, environ: Environ) -> Written:
        try:
            body = read_body(environ, self._limits)
        except EngineError as error:
            return self._calls.refuse(context, error)
        return self._calls.answer(context, body)


def _preflight(environ: Environ) -> list[tuple[str, str]]:
    """What a browser asks before it lets a page of another origin call."""
    asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    allowed = asked if _HEADER_NAMES.fullmatch(asked) else "authorization"
    return [
        ("Access-Control-Allow-Headers", allowed),
        ("Access-Control-Allow-Methods", "POST, OPTIONS"),
        ("Access-Control-Max-Age", "7200"),
    ]
