"""The embedded Catalog where no recording reaches."""

import json
from typing import Any

import mongomock
import pytest
from pymongo.errors import AutoReconnect
from werkzeug.test import Client

from execution_engine.embedded.catalog import create_catalog_app, ensure_indexes
from execution_engine.embedded.catalog.modules import Modules
from execution_engine.embedded.catalog.server import Method, PythonServer
from execution_engine.embedded.limits import MAX_BODY_BYTES

COMMITS = {"1.0.0": "a" * 40, "1.1.0": "b" * 40, "2.0.0": "c" * 40, "3.0.0": "d" * 40}


def version(number: str, **more: Any) -> dict[str, Any]:
    return {
        "module_name": "Assembler",
        "module_name_lc": "assembler",
        "module_description": "",
        "compilation_report": None,
        "git_commit_hash": COMMITS[number],
        "version": number,
        "release_timestamp": 1000,
    } | more


@pytest.fixture
def database() -> Any:
    database = mongomock.MongoClient(tz_aware=True)["kbase_embedded"]
    ensure_indexes(database)
    module = {
        "module_name": "Assembler",
        "git_url": "https://example.org/assembler",
        "description": "Puts reads together",
        "language": "python",
        "owners": [],
        "tags": {"release": COMMITS["2.0.0"], "beta": COMMITS["2.0.0"], "dev": COMMITS["3.0.0"]},
        "releases": [COMMITS["1.0.0"], COMMITS["1.1.0"], COMMITS["2.0.0"]],
    }
    Modules(database).put(module, [version(number) for number in COMMITS])
    return database


class Caller:
    """Calls the Catalog as its administrator."""

    def __init__(self, database: Any) -> None:
        self.client = Client(create_catalog_app(database, {"T": "root"}.get, lambda _user: ["CATALOG_ADMIN"]))

    def __call__(self, method: str, **params: Any) -> Any:
        body = {"version": "1.1", "id": "1", "method": f"Catalog.{method}", "params": [params]}
        answer = self.client.post("/", json=body, headers={"Authorization": "T"}).json
        return answer["error"]["message"] if "error" in answer else answer["result"] and answer["result"][0]


@pytest.fixture
def call(database: Any) -> Caller:
    return Caller(database)


class TestVersions:
    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (None, "2.0.0"),
            ("", "2.0.0"),
            ("beta", "2.0.0"),
            ("dev", "3.0.0"),
            ("1.0.0", "1.0.0"),
            ("<2.0.0", "1.1.0"),
            (">=1.0.0", "2.0.0"),  # 3.0.0 is no release
            (COMMITS["1.0.0"], "1.0.0"),
            (COMMITS["3.0.0"], "3.0.0"),
        ],
    )
    def test_what_a_version_leads_to(self, call: Caller, wanted: str | None, found: str) -> None:
        params = {} if wanted is None else {"version": wanted}
        record = call("get_module_version", module_name="ASSEMBLER", **params)
        assert record["version"] == found
        assert "command_app" not in record

    def test_tags_that_stand_at_a_version(self, call: Caller) -> None:
        tags = {number: call("get_module_version", module_name="Assembler", version=COMMITS[number])["release_tags"]
                for number in COMMITS}  # fmt: skip
        assert tags == {"1.0.0": [], "1.1.0": [], "2.0.0": ["release", "beta"], "3.0.0": ["dev"]}

    @pytest.mark.parametrize("wanted", ["3.0.0", "aaaa", "release "])
    def test_what_is_no_version_of_it(self, call: Caller, wanted: str) -> None:
        message = call("get_module_version", module_name="Assembler", version=wanted)
        assert message == "'No module version found that matches your criteria!'"

    def test_a_version_must_be_text(self, call: Caller) -> None:
        message = call("get_module_version", module_name="Assembler", version={"$ne": ""})
        assert message == "'version parameter field must be a string'"

    def test_without_a_release_the_next_best_tag_counts(self, call: Caller, database: Any) -> None:
        database["catalog_modules"].update_one({"_id": "assembler"}, {"$unset": {"tags.release": 1, "tags.beta": 1}})
        assert call("get_module_version", module_name="Assembler")["version"] == "3.0.0"
        assert call("get_module_info", module_name="Assembler")["release"] is None
        assert call("list_basic_module_info") == []
        assert len(call("list_basic_module_info", include_unreleased=1)) == 1

    def test_only_versions_of_command_apps_have_their_commands(self, call: Caller, database: Any) -> None:
        module = Modules(database).get("assembler")
        app = {"directory": "/apps/assembler", "functions": {}}
        Modules(database).put(module, [version("2.0.0", command_app=app)])
        assert call("get_module_version", module_name="Assembler")["command_app"] == app
        assert "command_app" not in call("get_module_info", module_name="Assembler")["release"]

    def test_is_registered(self, call: Caller) -> None:
        assert call("is_registered", module_name="assembler") == 1
        assert call("is_registered", git_url="https://example.org/assembler") == 1
        assert call("is_registered", module_name="nosuch") == 0


class TestSecureParams:
    def test_of_several_values_the_one_for_the_narrowest_version_counts(self, call: Caller) -> None:
        for version_, value in (("2.0.0", "number"), ("", "all"), ("release", "tag"), (COMMITS["3.0.0"], "commit")):
            record = {"module_name": "assembler", "version": version_, "param_name": "password", "param_value": value}
            assert call("set_secure_config_params", data=[record]) is None
        found = {
            wanted: [record["param_value"] for record in call(
                "get_secure_config_params", module_name="Assembler", version=wanted)]
            for wanted in ("release", "1.0.0", "dev")
        }  # fmt: skip
        assert found == {"release": ["number"], "1.0.0": ["all"], "dev": ["commit"]}

    def test_a_value_is_replaced(self, call: Caller) -> None:
        for value in ("old", "new"):
            record = {"module_name": "assembler", "param_name": "password", "param_value": value, "is_password": 1}
            call("set_secure_config_params", data=[record])
        assert call("get_secure_config_params", module_name="assembler") == [
            {
                "module_name": "assembler",
                "version": "",
                "param_name": "password",
                "param_value": "new",
                "is_password": 1,
            }
        ]

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (None, "'data parameter must be a list'"),
            (["x"], "'data parameter must be a list'"),
            ([{"module_name": "a"}], "'param_name parameter field is required'"),
        ],
    )
    def test_bad_data(self, call: Caller, data: Any, message: str) -> None:
        assert call("set_secure_config_params", data=data) == message


class TestSettingsOfFunctions:
    def test_client_groups_are_replaced(self, call: Caller) -> None:
        for groups in (["njs"], ["bigmem"]):
            call("set_client_group_config", module_name="Assembler", function_name="run", client_groups=groups)
        found = call("list_client_group_configs", module_name="assembler")
        assert [record["client_groups"] for record in found] == [["bigmem"]]

    def test_client_groups_must_be_texts(self, call: Caller) -> None:
        message = call("set_client_group_config", module_name="a", function_name="b", client_groups=[1])
        assert message == "'client_groups parameter must be a list of strings'"

    def test_volume_mounts_are_replaced(self, call: Caller) -> None:
        for folder in ("/a", "/b"):
            mounts = [{"host_dir": folder, "container_dir": "/data", "read_only": True}]
            call("set_volume_mount", module_name="A", function_name="f", client_group="g", volume_mounts=mounts)
        assert call("list_volume_mounts", module_name="a") == [
            {
                "module_name": "A",
                "function_name": "f",
                "client_group": "g",
                "volume_mounts": [{"host_dir": "/b", "container_dir": "/data", "read_only": 1}],
            }
        ]

    @pytest.mark.parametrize("mounts", [None, "x", ["x"]])
    def test_volume_mounts_must_be_a_list(self, call: Caller, mounts: Any) -> None:
        where = {"module_name": "A", "function_name": "f", "client_group": "g"}
        assert call("set_volume_mount", **where, volume_mounts=mounts) == "'volume_mounts parameter must be a list'"


class TestRunStatistics:
    RUN = {"user_id": "alice", "creation_time": 10, "exec_start_time": 20.5, "finish_time": 30, "is_error": 0}  # noqa: RUF012

    def test_a_run_is_kept_as_told(self, call: Caller) -> None:
        assert call("log_exec_stats", **self.RUN) is None
        (kept,) = call("get_exec_raw_stats", begin=10, end=10)
        assert {key: kept[key] for key in self.RUN} == self.RUN
        assert call("get_exec_raw_stats", begin=11) == []
        assert len(call("get_exec_raw_stats")) == 1

    def test_a_run_with_a_bad_time_is_not_kept(self, call: Caller) -> None:
        assert call("log_exec_stats", user_id="alice") == "'creation_time parameter field is required'"
        assert "out of range" in call("log_exec_stats", **self.RUN | {"finish_time": 1_700_000_000_000})
        assert call("get_exec_raw_stats") == []


class TestServer:
    def answer(self, body: bytes, length: int | None = None, **methods: Method) -> tuple[int, Any]:
        announced = {} if length is None else {"CONTENT_LENGTH": str(length)}
        client = Client(PythonServer("M", methods, lambda _token: None))
        answer = client.post("/", data=body, environ_overrides=announced)
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status_code, answer.json["error"]

    def test_a_body_beyond_the_limit_is_not_read(self) -> None:
        status, error = self.answer(b"{}", length=MAX_BODY_BYTES + 1)
        assert (status, error["code"]) == (500, -32700)
        assert error["message"] == "The request is larger than 33554432 bytes"

    def test_a_body_that_breaks_off(self) -> None:
        status, error = self.answer(b"{}", length=100)
        assert (status, error["code"], error["name"]) == (500, -32700, "Parse error")

    @pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe\xfa", b"{'a': 1}"])
    def test_what_is_no_json(self, body: bytes) -> None:
        status, error = self.answer(body)
        assert (status, error["code"]) == (500, -32700)

    @pytest.mark.parametrize("body", [b"1", b"null", b'"x"', b'{"method": 5, "params": [], "id": 1}'])
    def test_what_is_no_call(self, body: bytes) -> None:
        answer = Client(PythonServer("M", {}, lambda _token: None)).post("/", data=body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (500, "text/plain")

    @pytest.mark.parametrize(
        ("failure", "message"),
        [
            (AutoReconnect("10.0.0.1: closed"), '"The database can\'t be reached; try again later."'),
            (ZeroDivisionError("division by zero"), "'division by zero'"),
        ],
    )
    def test_a_failure_tells_nothing_of_where_it_happened(self, failure: Exception, message: str) -> None:
        def run(_user: None) -> None:
            raise failure

        status, error = self.answer(json.dumps({"method": "M.f", "params": [], "id": 1}).encode(), f=Method(run, ()))
        assert (status, error["message"]) == (500, message)
        assert "File" not in error["error"]
        assert "10.0.0.1" not in error["error"]
