"""HTTP to one service: pooled, bounded in time and size, and one error for all the ways to be out of reach."""

import logging
import os
import time
from dataclasses import dataclass
from http.client import RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from execution_engine.core.errors import EngineError
from execution_engine.core.json_text import from_json
from execution_engine.kbase.tokens import clean_token

log = logging.getLogger(__name__)

MAX_CONNECT_SECONDS = 4.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_BLOCK = 64 * 1024


class _TooLarge(Exception):
    """The answer does not end where a reasonable one would."""


_PROBLEMS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (requests.ConnectTimeout, "no connection within {connect:g} s"),
    ((requests.Timeout, ReadTimeoutError), "no whole answer within {whole:g} s"),
    (requests.exceptions.SSLError, "its certificate is not accepted"),
    (_TooLarge, f"its answer is larger than {MAX_ANSWER_BYTES} bytes"),
    (
        (requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL),
        "its URL is wrong, check the settings",
    ),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer whose body is JSON, whatever its status."""

    status: int
    body: Any


class HttpService:
    """One service at one URL, for any number of threads.

    Answers that are no JSON count as the service being out of reach: they come from a proxy, an error page or another
    program on its port. Redirects are such answers too, because a token goes nowhere but to the configured host.
    """

    def __init__(
        self, name: str, url: str, unavailable: type[EngineError], *, timeout: float = 10.0, connections: int = 16
    ) -> None:
        """``timeout``: seconds for a whole exchange. ``connections``: how many are kept open for reuse."""
        self.name = name
        self._url = url
        self._unavailable = unavailable
        self._timeout = timeout
        self._connections = connections
        self._pool: tuple[int, requests.Session] | None = None

    def exchange(
        self, method: str, path: str = "", *, token: str | None = None, body: bytes | None = None, repeat: bool = True
    ) -> Answer:
        """One request and its answer.

        ``path``: below the service's URL; empty for exactly that URL. ``token`` None sends none. ``repeat``: send once
        more if a kept connection turns out to be closed, which is right for everything that may happen twice.

        Raises:
            TokenMissing, TokenInvalid: the token can't be sent.
            EngineError: the service's own class, when it is out of reach.
        """
        headers = {} if token is None else {"Authorization": clean_token(token)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        deadline = time.monotonic() + self._timeout
        try:
            try:
                status, content = self._send(method, path, headers, body, deadline)
            except requests.ConnectionError as error:
                if not (repeat and _dropped(error)):
                    raise
                status, content = self._send(method, path, headers, body, deadline)
            return Answer(status, from_json(content))
        except (requests.RequestException, HTTPError, _TooLarge) as error:
            raise self.down(self._problem(error), error) from error
        except (ValueError, RecursionError) as error:
            raise self.down(f"its answer (HTTP {status}) is not JSON", error) from error

    def down(self, problem: str, cause: BaseException | None = None) -> EngineError:
        """The error to raise because of ``problem``, which ends the sentence "… can't be used now: "."""
        log.warning("%s at %s: %s (%s)", self.name, self._url, problem, _described(cause))
        return self._unavailable(f"The {self.name} service can't be used now: {problem}. Try again later.")

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, deadline: float
    ) -> tuple[int, bytes]:
        left = max(deadline - time.monotonic(), 0.001)
        response = self._session().request(
            method,
            self._url.rstrip("/") + path if path else self._url,
            headers=headers,
            data=body,
            timeout=(min(left, MAX_CONNECT_SECONDS), left),
            allow_redirects=False,
            stream=True,
        )
        complete = False
        try:
            content = _read(response, deadline)
            complete = True
        finally:
            if complete:
                response.raw.release_conn()
            else:
                response.raw.close()
        return response.status_code, content

    def _session(self) -> requests.Session:
        # Two threads may both make one at the start: the second stays, which is cheaper than a lock that a fork could
        # leave locked.
        pid = os.getpid()
        pool = self._pool
        if pool is None or pool[0] != pid:
            pool = self._pool = (pid, _new_session(self._connections))
        return pool[1]

    def _problem(self, error: Exception) -> str:
        for kinds, problem in _PROBLEMS:
            if isinstance(error, kinds):
                return problem.format(connect=min(self._timeout, MAX_CONNECT_SECONDS), whole=self._timeout)
        connected = not isinstance(error, requests.ConnectionError) or _protocol_error(error) is not None
        return "the connection broke" if connected else "it can't be connected to"


def _new_session(connections: int) -> requests.Session:
    session = requests.Session()
    # Neither a proxy nor a .netrc from the environment: the first would carry calls for 127.0.0.1 elsewhere, the
    # second would replace the caller's token.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _read(response: requests.Response, deadline: float) -> bytes:
    blocks, size = [], 0
    while block := response.raw.read1(_BLOCK, decode_content=False):
        blocks.append(block)
        size += len(block)
        if size > MAX_ANSWER_BYTES:
            raise _TooLarge
        if time.monotonic() > deadline:  # the time-out of a socket begins anew with every byte that drips in
            raise requests.ReadTimeout
    return b"".join(blocks)


def _protocol_error(error: requests.ConnectionError) -> ProtocolError | None:
    """What went wrong on a connection that had been made."""
    cause = error.args[0] if error.args else None
    return cause if isinstance(cause, ProtocolError) else None


def _dropped(error: requests.ConnectionError) -> bool:
    """Whether the other side closed the connection before it answered anything."""
    cause = _protocol_error(error)
    return cause is not None and isinstance(cause.args[-1], RemoteDisconnected | ConnectionResetError | BrokenPipeError)


def _described(cause: BaseException | None) -> str:
    return "" if cause is None else f"{type(cause).__name__}: {cause}"[:500]
