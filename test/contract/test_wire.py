"""What existing clients rely on, asked of the native path as they ask it."""

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from execution_engine.core.errors import JobNotFound, LogGap, TokenInvalid, TokenMissing, all_errors
from execution_engine.rpc.kidl import parse_file
from execution_engine.rpc.registry import Access, Policy, Registry
from execution_engine.rpc.voices import NativeVoice
from execution_engine.rpc.wsgi import RpcApplication

PATH = "/services/ee"
TOKEN = "alice-token"
JOB_ID = "68e5f0a1b2c3d4e5f6a7b8c9"
MODULE = parse_file(Path(__file__).parents[2] / "spec" / "ExecutionEngine.spec")


def admit(authorization: str | None) -> str:
    if not authorization:
        raise TokenMissing
    if authorization != TOKEN:
        raise TokenInvalid
    return "alice"


def check_job(_user: str, params: dict[str, Any]) -> dict[str, Any]:
    if params["job_id"] != JOB_ID:
        raise JobNotFound
    return {"job_id": JOB_ID, "user": "alice"}


def add_job_logs(_runner: str, _params: dict[str, Any]) -> dict[str, Any]:
    raise LogGap(next_line=3)


def whoami(_user: str, _params: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("unforeseen")


@pytest.fixture(scope="module")
def client() -> Client:
    registry = Registry(MODULE, Policy(), NativeVoice())
    handlers = {
        "check_job": check_job,
        "add_job_logs": add_job_logs,
        "whoami": whoami,
        "run_job": lambda _user, _params: JOB_ID,
        "ver": lambda _user, _params: "1.0",
        "list_config": lambda _user, params: {"got": json.dumps(params)},
    }
    rules = {
        "required": Access("user", "Every user.", admit),
        "optional": Access("anyone", "Everybody.", lambda _: None, "optional"),
        "none": Access("anyone", "Everybody.", lambda _: None, "none"),
    }
    for name, function in MODULE.functions.items():
        registry.add(name, handlers.get(name, lambda _user, _params: None), rules[function.authentication])
    return Client(RpcApplication({PATH: registry}, lambda _, __: []))


class ServerError(Exception):
    """The error of KBase's Python clients: it takes these arguments and no other."""

    def __init__(self, name: str, code: int, message: str, data: str | None = None, error: str | None = None) -> None:
        super().__init__(message)
        self.name, self.code, self.message = name, code, message
        self.data = data or error or ""


def kbase_call(client: Client, method: str, params: list[Any], token: str | None = TOKEN) -> Any:
    """A call as KBase's Python clients make it, down to how they read the answer."""
    headers = {} if token is None else {"AUTHORIZATION": token}
    request = {"method": method, "params": params, "version": "1.1", "id": "7349152689"}
    response = client.post(PATH, data=json.dumps(request), headers=headers)
    if response.status_code == 500:
        assert response.headers["content-type"] == "application/json"
        raise ServerError(**json.loads(response.data)["error"])
    assert response.status_code == 200
    answer = json.loads(response.data)
    if not answer["result"]:
        return None
    return answer["result"][0] if len(answer["result"]) == 1 else answer["result"]


def post(client: Client, message: Any, **options: Any) -> TestResponse:
    options.setdefault("headers", {"Authorization": TOKEN})
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return client.post(PATH, data=data, **options)


class TestKBaseClients:
    def test_a_value_comes_back_as_it_is(self, client: Client) -> None:
        assert kbase_call(client, "ExecutionEngine.run_job", [{"method": "m.f", "params": []}]) == JOB_ID
        assert kbase_call(client, "ExecutionEngine.check_job", [{"job_id": JOB_ID}])["user"] == "alice"

    def test_an_error_can_be_built_from_the_error_object(self, client: Client) -> None:
        with pytest.raises(ServerError) as caught:
            kbase_call(client, "ExecutionEngine.check_job", [{"job_id": "0" * 24}])

        assert (caught.value.name, caught.value.code) == ("JSONRPCError", -32100)
        assert caught.value.message == JobNotFound().message

    def test_details_of_an_error_are_text(self, client: Client) -> None:
        params = {"job_id": JOB_ID, "attempt": 1, "first_line": 9, "lines": []}
        with pytest.raises(ServerError) as caught:
            kbase_call(client, "ExecutionEngine.add_job_logs", [params])

        assert json.loads(caught.value.data) == {"reason": "log_gap", "next_line": 3}

    @pytest.mark.parametrize("token", [None, "", "wrong"])
    def test_a_bad_token_is_told_by_its_code_and_the_words_that_clients_look_for(
        self, client: Client, token: str | None
    ) -> None:
        with pytest.raises(ServerError, match=r"^Token validation failed: ") as caught:
            kbase_call(client, "ExecutionEngine.check_job", [{"job_id": JOB_ID}], token=token)

        assert caught.value.code == -32400

    def test_a_failure_has_no_stack_trace(self, client: Client) -> None:
        with pytest.raises(ServerError) as caught:
            kbase_call(client, "ExecutionEngine.whoami", [])

        assert caught.value.code == -32603
        assert "Traceback" not in caught.value.data
        assert "unforeseen" not in str(vars(caught.value))

    @pytest.mark.parametrize("params", [[], [{}], None, {}])
    def test_a_method_without_parameters_takes_none_in_every_form(self, client: Client, params: Any) -> None:
        answer = post(client, {"version": "1.1", "id": "1", "method": "ExecutionEngine.ver", "params": params}).json

        assert answer == {"version": "1.1", "id": "1", "result": ["1.0"]}

    def test_parameters_may_be_left_out(self, client: Client) -> None:
        answer = post(client, {"version": "1.1", "id": "1", "method": "ExecutionEngine.ver"}).json

        assert answer == {"version": "1.1", "id": "1", "result": ["1.0"]}

    def test_a_method_without_module_is_one_of_the_paths(self, client: Client) -> None:
        assert kbase_call(client, "ver", []) == "1.0"

    def test_a_context_is_no_trouble(self, client: Client) -> None:
        message = {"version": "1.1", "id": "1", "method": "ExecutionEngine.ver", "params": [], "context": {"a": [1]}}

        assert post(client, message).status_code == 200

    @pytest.mark.parametrize(
        "content_type", [None, "application/json", "application/x-www-form-urlencoded; charset=UTF-8", "text/plain"]
    )
    def test_the_content_type_of_a_request_does_not_matter(self, client: Client, content_type: str | None) -> None:
        message = {"version": "1.1", "id": "1", "method": "ver", "params": []}

        assert post(client, message, content_type=content_type).json == {"version": "1.1", "id": "1", "result": ["1.0"]}


class TestBrowsers:
    def test_preflight_is_answered_with_200_and_allows_what_is_asked(self, client: Client) -> None:
        headers = {"Origin": "https://narrative.kbase.us", "Access-Control-Request-Headers": "authorization,x-b"}

        response = client.options(PATH, headers=headers)

        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Access-Control-Allow-Headers"] == "authorization,x-b"

    def test_errors_can_be_read_from_another_origin(self, client: Client) -> None:
        for message in (b"no JSON", {"method": "nothing", "id": 1}, {"method": "check_job", "id": 1}):
            assert post(client, message).headers["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
    def test_nothing_is_redirected(self, client: Client, path: str) -> None:
        response = client.post(path, data=b'{"method": "ver", "id": 1}', follow_redirects=False)

        assert response.status_code == 200


class TestJsonRpc2:
    def call(self, client: Client, **message: Any) -> Any:
        return post(client, {"jsonrpc": "2.0", **message}).json

    def test_parameters_are_the_structure_and_the_result_is_the_value(self, client: Client) -> None:
        answer = self.call(client, id=1, method="ExecutionEngine.run_job", params={"method": "m.f"})

        assert answer == {"jsonrpc": "2.0", "id": 1, "result": JOB_ID}

    def test_an_error_comes_with_200_its_reason_and_its_details(self, client: Client) -> None:
        params = {"job_id": JOB_ID, "attempt": 1, "first_line": 9, "lines": []}

        response = post(client, {"jsonrpc": "2.0", "id": "x", "method": "add_job_logs", "params": params})

        error = {"code": -32120, "message": LogGap().message, "data": {"reason": "log_gap", "next_line": 3}}
        assert (response.status_code, response.json) == (200, {"jsonrpc": "2.0", "id": "x", "error": error})

    def test_a_notification_is_carried_out_and_not_answered(self, client: Client) -> None:
        response = post(client, {"jsonrpc": "2.0", "method": "ver"})

        assert (response.status_code, response.data) == (204, b"")

    def test_a_batch_keeps_its_order(self, client: Client) -> None:
        batch = [{"jsonrpc": "2.0", "id": n, "method": "ver" if n % 2 else "nothing"} for n in range(100)]

        answers = json.loads(post(client, batch).data)

        assert [answer["id"] for answer in answers] == list(range(100))
        assert all(("result" in answer) == bool(answer["id"] % 2) for answer in answers)

    @pytest.mark.parametrize("message", [[], [{"jsonrpc": "2.0", "id": 1, "method": "ver"}] * 101])
    def test_an_empty_and_an_endless_batch_are_one_error(self, client: Client, message: Any) -> None:
        answer = post(client, message).json

        assert answer is not None
        assert answer["error"]["code"] == -32600


class TestRefusals:
    @pytest.mark.parametrize(
        ("message", "code"),
        [
            (b"", -32700),
            (b"{", -32700),
            (b'{"a": NaN}', -32700),
            (b"\xff", -32700),
            (b"5", -32600),
            ({"version": "1.1", "params": [], "id": "1"}, -32600),
            ({"version": "1.1", "method": 5, "id": "1"}, -32600),
            ({"version": "1.1", "method": "ExecutionEngine.nothing", "id": "1"}, -32601),
            ({"version": "1.1", "method": "NarrativeJobService.ver", "id": "1"}, -32601),
            ({"version": "1.1", "method": "check_job", "id": "1"}, -32602),
            ({"version": "1.1", "method": "check_job", "id": "1", "params": [{}, {}]}, -32602),
            ({"version": "1.1", "method": "check_job", "id": "1", "params": [{"job_id": 5}]}, -32602),
            ({"version": "1.1", "method": "check_job", "id": "1", "params": "x"}, -32602),
            ({"version": "1.1", "method": "run_job", "id": "1", "params": [{"method": "m.f", "wsid": 5.0}]}, -32602),
            ({"version": "1.1", "method": "run_job", "id": "1", "params": [{"method": "m.f", "wsid": True}]}, -32602),
            ({"version": "1.1", "method": "run_job", "id": "1", "params": [{"method": "m.f", "more": 1}]}, -32602),
        ],
    )
    def test_each_kind_has_its_code(self, client: Client, message: Any, code: int) -> None:
        response = post(client, message)

        error = json.loads(response.data)["error"]
        assert (response.status_code, error["code"]) == (500, code)
        assert set(error) == {"name", "code", "message", "error"}

    def test_get_is_refused_in_kbases_way(self, client: Client) -> None:
        response = client.get(PATH)

        assert response.status_code == 500
        assert response.headers["Content-Type"] == "application/json"
        assert json.loads(response.data)["error"]["code"] == -32300
        assert json.loads(response.data)["error"]["message"] == "HTTP GET not allowed."

    def test_codes_of_different_errors_differ(self) -> None:
        """Clients tell errors apart by code; only the ways in which a token can be bad share one."""
        codes = [error.code for error in all_errors() if error.code != -32400]

        assert len(codes) == len(set(codes))
