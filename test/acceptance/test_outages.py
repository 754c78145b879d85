"""What the engine depends on is away: the answer names it, and what can go on goes on."""

from collections.abc import Iterator

import pytest

from test.conftest import Stack, free_port


@pytest.fixture(scope="module")
def without_catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An engine whose Catalog is at a port where nobody listens."""
    dead = f"http://127.0.0.1:{free_port()}/services/catalog"
    engine = Stack(tmp_path_factory.mktemp("outage"), f"[execution_engine]\ncatalog-url = {dead}\n")
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def test_catalog_is_down(without_catalog: Stack) -> None:
    answer = without_catalog.post("run_job", {"method": "sequence_tools.assembly_stats"}, "alice")
    assert (answer.error["code"], answer.error["data"]["reason"]) == (-32202, "catalog_unavailable")
    assert answer.error["message"] == (
        "The Catalog service can't be used now: nobody answers at its address. Try again later."
    )


def test_the_rest_goes_on_without_catalog(without_catalog: Stack) -> None:
    assert without_catalog.call("list_jobs", {}, "alice") == {"jobs": []}
    assert without_catalog.call("whoami", {}, "bob")["user"] == "bob"
    assert without_catalog.call("status")["state"] == "ok"
