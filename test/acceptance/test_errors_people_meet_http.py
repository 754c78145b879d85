"""Errors as people read them in answers and job records: each says what was wrong, and what to do."""

import socket
from typing import Any

import pytest

from test.acceptance.conftest import finished
from test.conftest import Stack, wait_until
from test.resilience.stack_processes import kill, runner_of

HOST = socket.gethostname()
NO_JOB = "0" * 24
METHOD_NAME = (
    "a string of at most 200 characters matching ^[A-Za-z][A-Za-z0-9_]*\\.[A-Za-z_][A-Za-z0-9_]*$ "
    "(method_name: What is run: module.function)"
)
WSID = "an integer from 1 to 9007199254740991 (wsid: A KBase workspace (Narrative) number)"
JOB_ID = "a string matching ^[0-9a-f]{24}$ (job_id: 24 hexadecimal digits; ids sort by age)"
FUNCTIONS = "bulky, count, fail, greedy, identity, missing_program, plain_file, stubborn, write"


def test_no_token(stack: Stack) -> None:
    error = stack.post("whoami").error
    assert (error["code"], error["message"]) == (
        -32400,
        "Token validation failed: Authorization is required for this method but no credentials were provided.",
    )


def test_wrong_token(stack: Stack) -> None:
    error = stack.post("whoami", Authorization="SNJ3VWU6PNWMFCJGN3TSRBWD6N2K5BCC").error
    assert (error["code"], error["message"]) == (
        -32400,
        "Token validation failed: the Auth service does not know the token; it may have expired.",
    )


@pytest.mark.parametrize(
    ("method", "code", "message"),
    [
        ("run_jop", -32601, "There is no method 'run_jop' in ExecutionEngine; did you mean run_job?"),
        ("fly", -32601, "There is no method 'fly' in ExecutionEngine."),
    ],
)
def test_unknown_method(stack: Stack, method: str, code: int, message: str) -> None:
    error = stack.post(method, {}, "alice").error
    assert (error["code"], error["message"]) == (code, message)


@pytest.mark.parametrize("method", ["check_job", "get_logs", "cancel_job", "get_report"])
def test_unknown_job(stack: Stack, method: str) -> None:
    error = stack.post(method, {"job_id": NO_JOB}, "alice").error
    assert (error["code"], error["message"]) == (-32100, f"There is no job {NO_JOB}, or you may not read it.")


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("run_job", {}, f"params.method: missing; expected {METHOD_NAME}"),
        ("run_job", {"method": "drill"}, f"params.method: expected {METHOD_NAME}, found 'drill'"),
        ("run_job", {"metod": "drill.count"}, "params: unknown field 'metod'; did you mean method?"),
        (
            "run_job",
            {"method": "drill.count", "wsid": "3"},
            f"params.wsid: expected {WSID}, found '3'",
        ),
        (
            "check_job",
            {"job_id": "x"},
            f"params.job_id: expected {JOB_ID}, found 'x'",
        ),
        ("list_jobs", {"limit": 0}, "params.limit: expected an integer from 1 to 1000, found 0"),
    ],
)
def test_bad_parameters(stack: Stack, method: str, params: Any, message: str) -> None:
    error = stack.post(method, params, "alice").error
    assert (error["code"], error["message"]) == (-32602, message)


def test_parameters_too_large(drills: Stack) -> None:
    error = drills.post("run_job", {"method": "drill.count", "params": ["x" * 1_100_000]}, "alice").error
    assert error["code"] == -32111
    assert error["message"].startswith("params: the parameters of drill.count have 1,100,")
    assert error["message"].endswith(
        " bytes; up to 1,048,576 are taken. Save large input as a workspace object and pass its reference."
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "nowhere.count"}, "The Catalog has no module nowhere."),
        ({"method": "drill.count", "service_ver": "9.9.9"}, "The Catalog has no version 9.9.9 of the module drill."),
        ({"method": "drill.fly"}, f"The module drill (version 1.0.0) has no function fly; it has: {FUNCTIONS}."),
    ],
)
def test_app_not_found(drills: Stack, asked: Any, message: str) -> None:
    error = drills.post("run_job", asked, "alice").error
    assert (error["code"], error["message"]) == (-32101, message)


def cause_of(job: Any) -> Any:
    assert job["status"] == "error"
    return job["cause"]


def test_app_not_executable(drills: Stack) -> None:
    job = finished(drills, "drill.plain_file")
    program = drills.data / "apps" / "drill" / job["service_ver"] / "plain_file.sh"
    assert cause_of(job) == {
        "code": "app_not_executable",
        "message": (
            f"The app's program {program} can't be executed on the worker {HOST}: permission denied; "
            f"make it executable (chmod +x {program})."
        ),
        "advice": "Tell the app's developers or the operators: the program is missing or not executable.",
    }


def test_app_not_there(drills: Stack) -> None:
    cause = cause_of(finished(drills, "drill.missing_program"))
    assert cause["code"] == "app_not_executable"
    assert cause["message"].startswith("The app's program no-such-program-for-drills is neither on PATH (")
    assert cause["message"].endswith(f" on the worker {HOST}: install it there, or correct the app's command.")


def test_app_reports_an_error(drills: Stack) -> None:
    assert cause_of(finished(drills, "drill.fail", {"message": "The sequence is empty."})) == {
        "code": "app_error",
        "message": "The sequence is empty.",
        "advice": "Read the log's last lines; correct the input and run it again.",
        "detail": "the app's own traceback",
        "exit_code": 1,
    }


def test_app_ends_without_a_word(drills: Stack) -> None:
    assert cause_of(finished(drills, "drill.fail", {"exit_code": 3})) == {
        "code": "app_error",
        "message": "The app ended with exit code 3.",
        "advice": "Read the log's last lines; correct the input and run it again.",
        "detail": "the last words",
        "exit_code": 3,
    }


def test_output_too_large(drills: Stack) -> None:
    cause = cause_of(finished(drills, "drill.bulky", {"characters": 15_000_000}))
    assert cause == {
        "code": "output_too_large",
        "message": (
            "The app's output has 15,000,004 bytes, and at most 15,000,000 are taken: save large results as an object "
            "or a file, and return a reference."
        ),
        "advice": "Let the app save large results as workspace objects and return their references.",
        "exit_code": 0,
    }


def test_largest_output_is_taken(drills: Stack) -> None:
    job = finished(drills, "drill.bulky", {"characters": 14_999_996})
    assert (job["status"], len(job["output"][0])) == ("completed", 14_999_996)


def test_runner_killed(drills: Stack) -> None:
    gate = str(drills.folder / "never")
    job_id = drills.call("run_job", {"method": "drill.count", "params": [{"gate": gate}]}, "alice")
    drills.wait_for(job_id, "running")
    runner = wait_until(lambda: runner_of(f"ee.{job_id}.1"), what="the runner")
    kill(runner)
    assert cause_of(drills.wait_for(job_id)) == {
        "code": "runner_lost",
        "message": "The job's runner was killed (signal 9).",
        "advice": "Run it again; tell the operators.",
        "detail": "The runner was ended by SIGKILL.",
    }


def test_no_machine_is_large_enough(drills: Stack) -> None:
    error = drills.post("run_job", {"method": "drill.greedy"}, "alice").error
    assert (error["code"], error["message"]) == (
        -32115,
        "params: the cpus of drill.greedy are 100,000; the client group local has 8 at most.",
    )


def test_unknown_client_group(drills: Stack) -> None:
    error = drills.post("run_job", {"method": "drill.count", "client_group": "bigmem"}, "alice").error
    assert (error["code"], error["message"]) == (
        -32104,
        "params.client_group: there is no client group 'bigmem'; there are local.",
    )
