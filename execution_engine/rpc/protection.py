"""Headers that protect people in browsers, on everything that is served to them."""

from collections.abc import Callable, Iterable
from typing import Any

_Headers = list[tuple[str, str]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CONTENT_SECURITY_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Nothing may be loaded, run or framed: right for everything that is data. Pages bring a policy of their own."""

PROTECTION: _Headers = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
]


class Protected:
    """An application whose answers have all of PROTECTION; a header that it sets itself stays as it is."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One HTTP request."""

        def start(status: str, headers: _Headers, *error: Any) -> Any:
            own = {name.lower() for name, _ in headers}
            return start_response(status, [*headers, *(h for h in PROTECTION if h[0].lower() not in own)], *error)

        return self._application(environ, start)
