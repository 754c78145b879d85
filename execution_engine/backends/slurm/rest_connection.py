"""One HTTP connection to Slurm's REST daemon, over TCP or a unix socket, kept open for several questions."""

import http.client
import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from execution_engine.backends.slurm.session import Trouble

_ANSWER_BYTES = 512 << 20
_CHUNK_BYTES = 1 << 16


class Door:
    """Where the daemon is and who asks it. The token's file is read for each session: operators replace the token."""

    def __init__(self, url: str, user: str, token_file: str, timeout_seconds: float) -> None:
        self._url = url
        self._user = user
        self._token_file = token_file
        self.timeout_seconds = timeout_seconds

    def open(self) -> "Connection":
        """A connection; it is made with the first question.

        Raises:
            Trouble: the token can't be read.
        """
        try:
            token = Path(self._token_file).read_text(encoding="ascii").strip().removeprefix("SLURM_JWT=")
        except (OSError, UnicodeDecodeError) as error:
            raise Trouble(f"its token in {self._token_file} (token-file) can't be read: {error}") from error
        if len(token.split()) != 1:
            raise Trouble(f"there is no token in {self._token_file} (token-file)")
        return Connection(self._connection(), self._user, token, self.timeout_seconds)

    def _connection(self) -> http.client.HTTPConnection:
        if self._url.startswith("unix:"):
            return _UnixConnection(self._url.removeprefix("unix:"), self.timeout_seconds)
        parts = urlsplit(self._url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=self.timeout_seconds)


class Connection:
    """Asks and reads answers; a context manager that closes the connection."""

    def __init__(self, http_connection: http.client.HTTPConnection, user: str, token: str, seconds: float) -> None:
        self.token = token
        self._http = http_connection
        self._headers = {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": token}
        self._seconds = seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object in the answer, whatever its status: Slurm says in the object what is wrong.

        Raises:
            Trouble: no connection, no answer in time, or an answer that is no JSON object.
        """
        data = json.dumps(body).encode() if body is not None else None
        headers = {**self._headers, **({"Content-Type": "application/json"} if data else {})}
        try:
            self._http.request(method, path, data, headers)
            status, content = self._read()
        except TimeoutError:
            self._http.close()
            raise Trouble(f"its REST daemon did not answer within {self._seconds:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise Trouble(f"its REST daemon can't be reached: {error or type(error).__name__}") from error
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Trouble(_no_object(status, content))
        return answer

    def _read(self) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._seconds
        response = self._http.getresponse()
        content = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            content += chunk
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(content) > _ANSWER_BYTES:
                raise http.client.HTTPException(f"it sent more than {_ANSWER_BYTES} bytes")
        response.read()  # of nothing, or the connection could not be used again
        return response.status, bytes(content)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _no_object(status: int, content: bytes) -> str:
    text = content[:100].decode(errors="replace")
    if status == http.client.UNAUTHORIZED:
        return f"its REST daemon does not accept the engine's name and token ({text})"
    if status == http.client.NOT_FOUND:
        return f"its REST daemon does not speak the version of the setting rest-version ({text})"
    return f"its REST daemon answered with status {status} and no JSON object: {text!r}"
