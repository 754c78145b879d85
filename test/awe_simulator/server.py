"""The simulator's HTTP server: AWE's paths, its envelope, and the texts of its errors."""

import contextlib
import email.parser
import email.policy
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from test.awe_simulator.documents import client_document, job_document, server_document
from test.awe_simulator.model import ACTIVE, AweError, Job, Version, time_now
from test.awe_simulator.state import PUBLIC, AweState

_PAGE = 25
_NO_CONDITIONS = {"query", "limit", "offset", "order", "direction", "active", "suspend", "date_start"}
_TOKEN = re.compile(r"OAuth un=(\w+)\|client_id=\w+\|sig=(\w+)")


class AweServer:
    """A server on a port of this machine; ``anonymous``: whether it does without accounts."""

    def __init__(self, state: AweState, *, anonymous: bool = True) -> None:
        self.state = state
        self.anonymous = anonymous
        self.requests: list[str] = []
        self.weather = "fair"
        """``slow``: it answers late. ``mute``, ``mute to posts``: it does what it is told and hangs up; ``dead after a
        post``: from then on. ``nonsense``: its answers are not by its rules. ``eating documents``: they arrive cut off.
        """
        self._http: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        handler = type("Handler", (_Handler,), {"server_of_test": self})
        self._http = _Http(("127.0.0.1", self._port), handler)
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), name="awe", daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = True


class _Handler(BaseHTTPRequestHandler):
    server_of_test: AweServer

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _serve(self) -> None:
        server = self.server_of_test
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.requests.append(f"{self.command} {self.path}")
        if server.weather == "slow":
            time.sleep(3)
        if server.weather == "eating documents":
            body = body.replace(b"}]}", b"")
        conversation = Conversation(server, self.headers.get("Authorization"), self.headers.get("Content-Type", ""))
        status, document, headers = conversation.answer(self.command, self.path, body)
        if server.weather == "dead after a post" and self.command == "POST":
            server.weather = "mute"
        if server.weather == "mute" or (server.weather == "mute to posts" and self.command == "POST"):
            self.close_connection = True
            return
        content = b"<html>proxy" if server.weather == "nonsense" else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815


class Conversation:
    """One request of somebody, and its answer."""

    def __init__(self, server: AweServer, authorization: str | None, content_type: str) -> None:
        self._server = server
        self._state = server.state
        self._authorization = authorization
        self._content_type = content_type
        self._headers: dict[str, str] = {}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        """Status, document and headers."""
        url = urlsplit(path)
        resource, _, name = url.path.strip("/").partition("/")
        query = parse_qs(url.query, keep_blank_values=True)
        known = {"job": self._job, "work": self._work, "client": self._clients}
        if resource not in known:
            return 200, server_document(self._state.version, anonymous=self._server.anonymous), {}
        try:
            with self._state.lock:
                data = known[resource](method, name, query, body)
            pages = data if isinstance(data, _Page) else None
            document = {"status": 200, "data": pages.documents if pages else data, "error": None}
            return 200, document | (pages.numbers if pages else {}), self._headers
        except AweError as error:
            return error.status, {"status": error.status, "data": None, "error": [str(error)]}, self._headers

    def _user(self) -> str:
        if self._authorization is None:
            if self._server.anonymous:
                return PUBLIC
            raise AweError(401, "No Authorization")
        match = _TOKEN.fullmatch(self._authorization)
        if match is None or match[2] != "ok":
            raise AweError(401, "Invalid Auth Header")
        return match[1]

    def _job(self, method: str, job_id: str, query: dict[str, list[str]], body: bytes) -> Any:
        user = self._user()
        if method == "POST":
            job = self._state.submit(self._document(body), user)
            if not self._state.old:
                self._headers["Content-Type"] = "text/plain; charset=utf-8"
            return job_document(job, self._state.version, fresh=True)
        if not job_id:
            return self._list(query)
        if method == "DELETE":
            self._state.delete(job_id, user, full="full" in query)
            return f"job deleted: {job_id}"
        if method == "PUT":
            return self._change(self._state.writable(job_id, user), query)
        return job_document(self._state.readable(job_id, user), self._state.version)

    def _change(self, job: Job, query: dict[str, list[str]]) -> str:
        if "resume" in query:
            self._state.resume(job)
            return f"job resumed: {job.id}"
        if "suspend" in query:
            self._state.suspend(job)
            return f"job suspended: {job.id}"
        return self._describe(job, query)

    def _describe(self, job: Job, query: dict[str, list[str]]) -> str:
        """Changes what is said about the job; what AWE does not know is well too."""
        for key, said, field in (("clientgroup", "group", "clientgroups"), ("pipeline", "pipeline", "pipeline")):
            if key in query:
                job.info[field] = query[key][0]
                return f"job {said} updated: {job.id} to {query[key][0]}"
        if "priority" in query:
            value = query["priority"][0]
            if not value.isdecimal():
                text = f'priority value must be an integerstrconv.Atoi: parsing "{value}": invalid syntax'
                raise AweError(400, text)
            job.info["priority"] = int(value)
            return f"job priority updated: {job.id} to {value}"
        if "expiration" in query:
            job.expiration = time_now()
            return f"expiration '{job.expiration}' set for job: {job.id}"
        return "requested job operation not supported"

    def _document(self, body: bytes) -> dict[str, Any]:
        """The workflow document of a form."""
        old = self._state.old
        if not self._content_type.startswith("multipart/form-data"):
            why = "(ParseMultipartForm) MultipartReader not created: request Content-Type isn't multipart/form-data"
            raise AweError(
                400, "No job file is submitted" if old else f"(JobController/Create) Error parsing form: {why}"
            )
        head = f"Content-Type: {self._content_type}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        upload = parts.get("upload")
        if upload is None or not upload.get_filename():
            raise AweError(400, "No job script or awf is submitted")
        try:
            document = json.loads(upload.get_payload(decode=True))
        except ValueError:
            raise self._refusal("unexpected end of JSON input") from None
        if not document.get("tasks"):
            text = "invalid job script: task list empty"
            raise self._refusal(text if old else f"job.Init returned error: (job.Init) {text}", unmarshaling=False)
        if not isinstance(document["tasks"][0]["cmd"], dict):
            field = "Task.tasks.cmd" if old else "TaskDep.tasks.cmd"
            raise self._refusal(f"json: cannot unmarshal string into Go struct field {field} of type core.Command")
        parsed: dict[str, Any] = document
        return parsed

    def _refusal(self, text: str, *, unmarshaling: bool = True) -> AweError:
        if self._state.old:
            reading = "error in unmarshaling job json file: " if unmarshaling else ""
            return AweError(400, f"error parsing job, error={reading}{text}")
        reading = f"error in unmarshaling job json file using deprecated job struct: {text} " if unmarshaling else text
        parsing = "(CreateJobUpload) Parsing: Failed (default and deprecated format) (ReadJobFile)"
        return AweError(400, f"(JobController/Create) CreateJobUpload returned: {parsing} {reading}")

    def _list(self, query: dict[str, list[str]]) -> "_Page":
        """Access rights do not count here: everybody with an account sees all."""
        limit, offset = int(query.get("limit", [str(_PAGE)])[0]), int(query.get("offset", ["0"])[0])
        documents = [job_document(job, self._state.version, listed=True) for job in self._state.jobs.values()]
        documents += self._state.strange
        conditions = {path: values for path, values in query.items() if path not in _NO_CONDITIONS}
        if "active" in query:
            conditions = {"state": [",".join(ACTIVE)]}
        elif "suspend" in query:
            conditions = {"state": ["suspend"]}
        for path, values in conditions.items():
            wanted = values[0].split(",") if len(values) == 1 else values
            documents = [document for document in documents if _value(document, path) in wanted]
        order = query.get("order", ["info.submittime"])[0]
        backwards = query.get("direction", ["desc"])[0] == "desc"
        documents.sort(key=lambda document: str(_value(document, order)), reverse=backwards)
        return _Page(documents[offset : offset + limit], limit, offset, len(documents))

    def _work(self, method: str, work_id: str, query: dict[str, list[str]], _: bytes) -> Any:
        job = self._state.jobs.get(work_id.removesuffix("_0_0"))
        if method == "GET" and job and "privateenv" in query and query.get("client") == [job.client]:
            self._headers["Privateenv"] = json.dumps(job.private)  # for everybody who knows the two ids
            return None
        if not work_id:
            self._user()
            return None
        job = self._state.readable(work_id.removesuffix("_0_0"), self._user())
        wanted = query.get("report", [""])[0]
        if wanted not in job.logs:
            raise AweError(400, f"log type '{wanted}' not found")
        return job.logs[wanted]

    def _clients(self, _method: str, _name: str, query: dict[str, list[str]], _: bytes) -> Any:
        self._user()
        clients = self._state.visible_clients()
        if "busy" in query:
            clients = [client for client in clients if self._state.old and client.current]
        documents = [client_document(client, self._state.version) for client in clients]
        return documents or (None if self._state.old else [])


class _Page:
    """Part of a list, with the numbers that go beside it."""

    def __init__(self, documents: list[Any], limit: int, offset: int, total: int) -> None:
        self.documents = documents
        self.numbers = {"limit": limit, "offset": offset, "total_count": total}


def _value(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def simulate(version: Version, **options: Any) -> AweServer:
    """A server of that version."""
    anonymous = options.pop("anonymous", True)
    return AweServer(AweState(version, **options), anonymous=anonymous)
