"""A part of the engine dies in the middle of fifty running jobs: each reaches its end, once, with its whole log."""

import time

import pytest

from test.conftest import Stack, wait_until
from test.resilience.conftest import MakeEngine
from test.resilience.crowd import PATIENCE_SECONDS, Crowd
from test.resilience.network import Network, Weather
from test.resilience.stack_processes import kill, kill_child, wait_restarted, workers_of

FAULT_SECONDS = 2.0


@pytest.mark.parametrize("child", ["web", "dispatcher", "mongod", "services"])
def test_a_part_of_the_engine_is_killed(engine: Stack, child: str) -> None:
    crowd = Crowd(engine)
    crowd.submit()
    crowd.wait_running(10)
    kill_child(engine, child)  # while others begin
    crowd.wait_running()
    wait_restarted(engine, child)
    kill_child(engine, child)  # while all run and print
    wait_restarted(engine, child)
    crowd.release()
    kill_child(engine, child)  # while they end
    crowd.wait_finished()
    crowd.check_all_completed_once()


def test_workers_of_the_web_server_are_killed(engine: Stack) -> None:
    crowd = Crowd(engine, 20)
    crowd.submit()
    while len(list(crowd.traces.iterdir())) < crowd.size:
        kill(*workers_of(engine, "web")[:1])
        time.sleep(0.5)
    crowd.release()
    kill(*workers_of(engine, "web"))
    crowd.wait_finished()
    crowd.check_all_completed_once()


def test_the_network_between_runners_and_engine_breaks(make_engine: MakeEngine) -> None:
    network = Network()

    def harm(weather: Weather, least: int) -> None:
        network.change(weather)
        time.sleep(FAULT_SECONDS)
        wait_until(lambda: network.harmed[weather] >= least, PATIENCE_SECONDS, f"{least} calls harmed by {weather}")
        network.change(Weather.FAIR)

    with network.running():
        engine = make_engine(worker_url=f"http://127.0.0.1:{network.port}/services/ee")
        network.lead_to(engine.port)
        crowd = Crowd(engine)
        network.change(Weather.MUTE)
        crowd.submit()
        harm(Weather.MUTE, 10)
        crowd.wait_running()
        harm(Weather.REFUSING, 1)
        harm(Weather.SILENT, 50)
        harm(Weather.CUTTING, 50)
        crowd.release()
        harm(Weather.MUTE, 100)
        crowd.wait_finished()
        crowd.check_all_completed_once()
