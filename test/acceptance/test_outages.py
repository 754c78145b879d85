"""The Catalog is away: the answer names it, what can go on goes on, and jobs are taken again when it is back."""

from collections.abc import Iterator

import pytest

from test.conftest import Stack, wait_until
from test.resilience.network import Network, Weather


@pytest.fixture
def network() -> Iterator[Network]:
    with Network().running() as between:
        yield between


@pytest.fixture
def engine(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An engine that reaches its Catalog through the network."""
    settings = f"catalog-url = http://127.0.0.1:{network.port}/services/catalog\ncatalog-cache-seconds = 0\n"
    made = Stack(tmp_path_factory.mktemp("outage"), f"[execution_engine]\n{settings}")
    network.lead_to(made.port)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def test_catalog_is_down(engine: Stack, network: Network) -> None:
    asked = {"method": "sequence_tools.assembly_stats", "params": [{"sequence": "NC_005816"}]}
    first = engine.call("run_job", asked, "alice")
    network.change(Weather.REFUSING)
    answer = engine.post("run_job", asked, "alice")
    assert (answer.error["code"], answer.error["data"]["reason"]) == (-32202, "catalog_unavailable")
    assert answer.error["message"] == (
        "The Catalog service can't be used now: it can't be connected to. Try again later."
    )
    assert engine.wait_for(first)["status"] == "completed"
    assert [job["job_id"] for job in engine.call("list_jobs", {}, "alice")["jobs"]] == [first]
    network.change(Weather.FAIR)
    again = wait_until(lambda: engine.post("run_job", asked, "alice").body.get("result"), what="a job that is taken")
    assert engine.wait_for(again)["status"] == "completed"
