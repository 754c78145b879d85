"""Replays what the real Catalog was recorded to answer, after the changes that were made before."""

from typing import Any

import pytest
from recorded import assert_same, exchanges, name_of, request_arguments
from werkzeug.test import Client

from execution_engine.embedded.catalog import create_catalog_app
from execution_engine.embedded.catalog.modules import Modules

LEFT_OUT = {
    "get_exec_aggr_stats": "a report on the statistics: nothing of ours calls it",
    "get_exec_aggr_table": "a report on the statistics: nothing of ours calls it",
    "auth_service_down": "the embedded Auth2 lives in the same process",
}
# What differs because the server is another one.
OTHER_SERVER = {"status": ("result.0.version", "result.0.git_url", "result.0.git_commit_hash")}

TOKENS = {"2LEZSDNJDYCLFWNAZMPQWP76VIAXX53R": "catadmin", "TULKZ6UJOA45VSNFRBIS2TSG5YSZV4B5": "alice"}
ROLES = {"catadmin": ["CATALOG_ADMIN"], "alice": ["EE2_ADMIN"]}

RELEASE = "49dc505febb8f4cccb2078c58ded0de3320534d7"
BETA = "b843888e962642d665a3b0bd701ee630c01835e6"
DEV = "b06c5f9daf603a4d206071787c3f6184000bf128"
TAGS = {"release": RELEASE, "beta": BETA, "dev": DEV}


def recorded_module(name: str) -> dict[str, Any]:
    """The module as list_basic_module_info shows it, in the shape that is stored."""
    listed = next(e for e in exchanges("catalog") if e["name"] == "list_basic_module_info")["response"]["body"]
    found = next(module for module in listed["result"][0] if module["module_name"] == name)
    fields = ("module_name", "git_url", "owners", "language", "dynamic_service")
    return {key: found[key] for key in fields if key in found} | {
        "description": "",
        "tags": {tag: found[tag]["git_commit_hash"] for tag in ("release", "beta", "dev")},
        "releases": [version["git_commit_hash"] for version in found["release_version_list"]],
    }


def seed(database: Any) -> None:
    modules = Modules(database)
    info = next(e for e in exchanges("catalog") if e["name"] == "get_module_info")["response"]["body"]["result"][0]
    for name in ("DynamicService", "DynamicService2", "onerepotest", "pending_second_release", "release_history"):
        modules.put(recorded_module(name), [])
    one = recorded_module("onerepotest") | {"description": info["description"]}
    modules.put(one, [info[tag] for tag in ("release", "beta", "dev")])
    dynamic = next(e for e in exchanges("catalog") if e["name"] == "get_module_version_dynamic_service")
    version = dict(dynamic["response"]["body"]["result"][0])
    del version["git_url"], version["release_tags"]
    modules.put(recorded_module("DynamicService"), [version])
    pending = one | {"module_name": "pending_first_release", "git_url": "", "releases": [], "tags": {"dev": DEV}}
    modules.put(pending, [info["dev"] | {"module_name": "pending_first_release"}])
    database["catalog_client_groups"].insert_many(
        {"module": module.lower(), "module_name": module, "function_name": function, "client_groups": groups}
        for module, function, groups in (
            ("CGTest1", "func1", ["G1"]),
            ("CGTest1", "func2", ["G1", "G2"]),
            ("module1234", "app", ["G1", "G2"]),
            ("module421", "app2", ["G2"]),
            ("module4", "app2312", []),
        )
    )
    database["catalog_volume_mounts"].insert_many(
        {
            "module": module.lower(),
            "module_name": module,
            "function_name": function,
            "client_group": group,
            "volume_mounts": [
                {"host_dir": host, "container_dir": inside, "read_only": only} for host, inside, only in m
            ],
        }
        for module, function, group, m in (
            (
                *("VolMountModTest1", "func1", "G1"),
                [("/home/wstester1", "/mnt/tmp", 1), ("/home/wstester2", "/mnt/tmp", 0)],
            ),
            ("VolMountModTest2", "func1", "G2", [("/home/wstester1", "/mnt/tmp2", 0)]),
            ("VolMountModTest2", "func1", "G3", [("/home/2/wstester1", "/mnt/tmp", 1)]),
            ("VolMountModTest2", "func2", "G3", [("/home/2/wstester1", "/mnt/tmp", 1)]),
        )
    )


CHANGES = ("set_", "log_exec_stats")


def replayed() -> list[dict[str, Any]]:
    return [exchange for exchange in exchanges("catalog") if exchange["name"] not in LEFT_OUT]


def changes_before(exchange: dict[str, Any]) -> list[dict[str, Any]]:
    recorded = exchanges("catalog")
    return [earlier for earlier in recorded[: recorded.index(exchange)] if earlier["name"].startswith(CHANGES)]


@pytest.fixture
def client(kbase_database: Any) -> Client:
    seed(kbase_database)
    return Client(create_catalog_app(kbase_database, TOKENS.get, lambda user: ROLES[user]))


@pytest.mark.parametrize("exchange", replayed(), ids=name_of)
def test_answers_as_the_real_server(client: Client, exchange: dict[str, Any]) -> None:
    for earlier in changes_before(exchange):
        client.open(**request_arguments(earlier))
    answer = client.open(**request_arguments(exchange))
    ignore = OTHER_SERVER.get(exchange["name"], ())
    assert_same(exchange["response"], answer.status_code, answer.headers, answer.data, ignore=ignore)


def test_nothing_else_is_left_out() -> None:
    assert len(replayed()) == len(exchanges("catalog")) - len(LEFT_OUT) == 80
