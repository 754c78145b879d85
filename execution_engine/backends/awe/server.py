"""AWE's HTTP interface: requests bounded in time and size, and answers taken out of their envelope.

Each call has a connection of its own: a kept one that turns out to be closed would leave open whether a job was
submitted, and calls are few.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError

from execution_engine.core.errors import BackendUnavailable
from execution_engine.core.json_text import from_json

MAX_CONNECT_SECONDS = 4.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
PAGE = 100
_BLOCK = 64 * 1024
_MANY_PAGES = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What AWE said: ``data``, or why not in ``error`` (empty if all is well)."""

    status: int
    data: Any
    error: str = ""
    total: int = 0

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status == 200

    @property
    def not_found(self) -> bool:
        """Whether AWE has no such job: the one thing that all its texts and codes for that have in common."""
        return not self.ok and "not found" in self.error.casefold()


class AweServer:
    """One AWE server, for any number of threads."""

    def __init__(self, backend: str, url: str, token_file: str = "", timeout: float = 10.0) -> None:
        """``timeout``: seconds for a whole exchange. ``token_file``: empty if AWE lets everybody in."""
        self._backend = backend
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._timeout = timeout

    def get(self, path: str) -> Answer:
        """Reads; any path below the server's URL."""
        return self._exchange("GET", path)

    def put(self, path: str) -> Answer:
        """Changes a job's state."""
        return self._exchange("PUT", path)

    def delete(self, path: str) -> Answer:
        """Deletes a job."""
        return self._exchange("DELETE", path)

    def upload(self, path: str, document: bytes) -> Answer:
        """Sends a workflow document. AWE takes it only as a form's part ``upload`` that has a file name."""
        return self._exchange("POST", path, {"upload": ("workflow.json", document, "application/octet-stream")})

    def jobs(self, conditions: Mapping[str, Sequence[str]]) -> list[Any]:
        """The documents of the jobs that meet all conditions: a path in the document, and the values that it may have.

        The oldest first, so that jobs which come while the pages are read are at their end.
        """
        return list(self._pages(f"/job?query{_query(conditions)}&order=info.submittime&direction=asc"))

    def count(self, conditions: Mapping[str, Sequence[str]]) -> int:
        """How many jobs meet all conditions."""
        return self.listed(f"/job?query{_query(conditions)}&limit=1&offset=0").total

    def _pages(self, path: str) -> Iterator[Any]:
        offset = 0
        for _ in range(_MANY_PAGES):
            answer = self.listed(f"{path}&limit={PAGE}&offset={offset}")
            yield from answer.data
            offset += len(answer.data)
            if not answer.data or offset >= answer.total:
                return
        raise self.unavailable("its list of jobs has no end")

    def listed(self, path: str) -> Answer:
        """Reads a list, which may be none at all where there is nothing."""
        answer = self.get(path)
        if not answer.ok or not (answer.data is None or isinstance(answer.data, list)):
            raise self.unavailable(f"it does not list what it has: {answer.error or 'its answer is no list'}")
        return replace(answer, data=answer.data or [])

    def unavailable(self, problem: str) -> BackendUnavailable:
        """The error to raise because of ``problem``, which goes on after "… can't be used: "."""
        return BackendUnavailable(
            f"The AWE server {self._url} of the backend {self._backend} can't be used: {problem}."
        )

    def _exchange(self, method: str, path: str, files: Mapping[str, Any] | None = None) -> Answer:
        deadline = time.monotonic() + self._timeout
        try:
            with requests.Session() as session:
                session.trust_env = False  # neither a proxy nor a .netrc of the engine's account
                response = session.request(
                    method,
                    self._url + path,
                    headers={"Connection": "close", "Accept-Encoding": "identity", **self._authorization()},
                    files=files,
                    timeout=(min(MAX_CONNECT_SECONDS, self._timeout), self._timeout),
                    allow_redirects=False,
                    stream=True,
                )
                content = _read(response, deadline)
        except (requests.RequestException, HTTPError) as error:
            raise self.unavailable(self._problem(error)) from error
        except _TooLargeError as error:
            raise self.unavailable(f"its answer is larger than {MAX_ANSWER_BYTES} bytes") from error
        return self._understood(response.status_code, content)

    def _authorization(self) -> dict[str, str]:
        if not self._token_file:
            return {}
        try:
            token = Path(self._token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self.unavailable(f"the token file {self._token_file} can't be read") from error
        if not token or not token.isprintable():
            raise self.unavailable(f"the token file {self._token_file} does not hold one token on one line")
        return {"Authorization": f"OAuth {token}"}

    def _problem(self, error: Exception) -> str:
        if isinstance(error, requests.ConnectTimeout):
            return f"no connection within {min(MAX_CONNECT_SECONDS, self._timeout):g} s"
        if isinstance(error, requests.Timeout) or "timed out" in str(error):
            return f"no whole answer within {self._timeout:g} s"
        if isinstance(error, requests.exceptions.SSLError):
            return "its certificate is not accepted"
        return "it can't be connected to, or the connection broke"

    def _understood(self, http_status: int, content: bytes) -> Answer:
        """The body counts, not the content type: AWE 0.9.68 declares some answers as text."""
        try:
            body = from_json(content)
            status, data, errors = body["status"], body["data"], body["error"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self.unavailable(f"its answer (HTTP {http_status}) is not one of AWE's") from error
        if status != http_status or not (errors is None or isinstance(errors, list)):
            raise self.unavailable(f"its answer (HTTP {http_status}) is not one of AWE's")
        text = "; ".join(str(one) for one in errors or ())
        if status == 401:
            raise self.unavailable(f"it refuses the engine's account ({text}); check token-file")
        if status >= 500:
            raise self.unavailable(f"it failed ({text or status})")
        total = body.get("total_count")
        return Answer(
            status, data, text or ("" if status == 200 else f"HTTP {status}"), total if isinstance(total, int) else 0
        )


def _query(conditions: Mapping[str, Sequence[str]]) -> str:
    return "".join(f"&{path}={','.join(quote(one, safe='') for one in some)}" for path, some in conditions.items())


class _TooLargeError(Exception):
    """The answer does not end where a reasonable one would."""


def _read(response: requests.Response, deadline: float) -> bytes:
    blocks, size = [], 0
    while block := response.raw.read1(_BLOCK, decode_content=False):
        blocks.append(block)
        size += len(block)
        if size > MAX_ANSWER_BYTES:
            raise _TooLargeError
        if time.monotonic() > deadline:  # the time-out of a socket begins anew with every byte that drips in
            raise requests.ReadTimeout
    return b"".join(blocks)
