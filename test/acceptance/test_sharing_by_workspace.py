"""Who sees and stops the jobs of a workspace: those who may read and write it, as it says now."""

import pytest

from test.conftest import Stack, wait_until


@pytest.fixture
def gate(drills: Stack) -> str:
    return str(drills.folder / "sharing.gate")


def submit(stack: Stack, gate: str, **asked: object) -> str:
    return stack.call("run_job", {"method": "drill.count", "params": [{"lines": 2, "gate": gate}], **asked}, "alice")


def test_who_may_read_the_workspace_reads_its_jobs(drills: Stack, gate: str) -> None:
    wsid = drills.new_workspace("alice", bob="r")
    job_id = submit(drills, gate, wsid=wsid)
    drills.wait_for(job_id, "running", user="bob")
    job = drills.call("check_job", {"job_id": job_id}, "bob")
    assert job["params"] == [{"lines": 2, "gate": gate}]
    listed = drills.call("list_jobs", {"wsid": wsid}, "bob")["jobs"]
    assert [job["job_id"] for job in listed] == [job_id]
    answer = drills.post("cancel_job", {"job_id": job_id}, "bob")
    assert answer.error["code"] == -32403
    assert answer.error["message"] == (
        f"You may not cancel job {job_id}: that needs its owner (alice), permission to write its workspace, "
        "or an administrator."
    )
    log = lambda: drills.call("get_logs", {"job_id": job_id}, "bob")["lines"]  # noqa: E731
    wait_until(lambda: "out 1" in [line["line"] for line in log()], what="the job's log")
    drills.call("cancel_job", {"job_id": job_id}, "alice")
    assert drills.wait_for(job_id, user="bob")["status"] == "terminated"


def test_who_may_write_the_workspace_cancels_its_jobs(drills: Stack, gate: str) -> None:
    job_id = submit(drills, gate, wsid=drills.new_workspace("alice", bob="w"))
    answer = drills.call("cancel_job", {"job_id": job_id, "reason": "my turn"}, "bob")
    assert answer["cancelled"] == 1
    job = drills.wait_for(job_id)
    assert (job["status"], job["cancel_requested"]["by"], job["cancel_requested"]["reason"]) == (
        "terminated",
        "bob",
        "my turn",
    )


def test_for_a_stranger_there_is_no_such_job(drills: Stack, gate: str) -> None:
    job_id = submit(drills, gate, wsid=drills.new_workspace("alice"))
    private = submit(drills, gate)
    for method in ("check_job", "get_logs", "cancel_job", "get_report"):
        for hidden in (job_id, private):
            answer = drills.post(method, {"job_id": hidden}, "bob")
            unknown = drills.post(method, {"job_id": "0" * 24}, "bob")
            assert answer.error["message"] == f"There is no job {hidden}, or you may not read it."
            assert answer.error == unknown.error | {"message": unknown.error["message"].replace("0" * 24, hidden)}
    found = drills.call("check_jobs", {"job_ids": [job_id, "0" * 24]}, "bob")
    assert found["jobs"] == {}
    assert {error["reason"] for error in found["errors"].values()} == {"job_not_found"}
    drills.call("cancel_jobs", {"job_ids": [job_id, private]}, "alice")


def test_administrators_see_and_stop_every_job(drills: Stack, gate: str) -> None:
    job_id = submit(drills, gate)
    assert drills.call("check_job", {"job_id": job_id}, "admin")["user"] == "alice"
    drills.call("cancel_job", {"job_id": job_id}, "admin")
    assert drills.wait_for(job_id)["cancel_requested"]["by"] == "admin"


def test_running_a_job_in_a_workspace_needs_permission_to_write_it(drills: Stack) -> None:
    readable, foreign = drills.new_workspace("alice", bob="r"), drills.new_workspace("alice")
    answer = drills.post("run_job", {"method": "drill.count", "wsid": readable}, "bob")
    assert (answer.error["code"], answer.error["message"]) == (
        -32403,
        f"You may read workspace {readable}, but running jobs there needs permission to write it.",
    )
    answer = drills.post("run_job", {"method": "drill.count", "wsid": foreign}, "bob")
    assert (answer.error["code"], answer.error["message"]) == (
        -32102,
        f"There is no workspace {foreign}, or you may not use it; running jobs there needs permission to write it.",
    )


def test_objects_that_the_user_may_not_read_refuse_the_job(drills: Stack) -> None:
    wsid = drills.new_workspace("alice")
    objects = [{"type": "Empty.AType", "name": "thing", "data": {}}]
    info = drills.service("ws", "Workspace.save_objects", {"id": wsid, "objects": objects}, "alice")[0]
    ref = f"{info[6]}/{info[0]}/{info[4]}"
    asked = {"method": "drill.count", "source_ws_objects": [ref]}
    job_id = drills.call("run_job", asked, "alice")
    assert drills.wait_for(job_id)["source_ws_objects"] == [ref]
    answer = drills.post("run_job", asked, "bob")
    assert (answer.error["code"], answer.error["message"]) == (
        -32103,
        f"source_ws_objects: {ref} does not exist, or you may not read it.",
    )
    answer = drills.post("run_job", asked | {"source_ws_objects": [ref, f"{wsid}/77", "9999/1"]}, "alice")
    assert answer.error["message"] == (f"source_ws_objects: {wsid}/77, 9999/1 do not exist, or you may not read them.")
