"""Many jobs in one call, submissions that may be repeated, and jobs that run again."""

from test.acceptance.conftest import finished
from test.conftest import Stack, wait_until


def test_a_batch_shows_its_jobs_together(drills: Stack) -> None:
    jobs = [
        {"method": "drill.count", "params": [{"lines": 2}]},
        {"method": "drill.fail", "params": [{"message": "No."}]},
        {"method": "drill.count", "params": [{"lines": 1}], "app_id": "drill/count_lines"},
    ]
    answer = drills.call("run_jobs", {"jobs": jobs}, "alice")
    batch_id, ids = answer["batch_id"], answer["job_ids"]
    assert [drills.wait_for(job_id)["status"] for job_id in ids] == ["completed", "error", "completed"]
    batch = drills.call("check_job", {"job_id": batch_id}, "alice")
    assert (batch["batch"], batch["status"], batch["user"]) == (1, "error", "alice")
    assert batch["children"] == {"completed": 2, "error": 1}
    last = drills.call("check_job", {"job_id": ids[2]}, "alice")
    assert (last["batch_id"], last["app_id"], last["output"][0]["lines"]) == (batch_id, "drill/count_lines", 1)


def test_one_wrong_job_refuses_the_batch_and_is_named(drills: Stack) -> None:
    before = drills.call("list_jobs", {"limit": 1, "fields": []}, "bob")
    jobs = [{"method": "drill.count"}, {"method": "drill.count", "client_group": "bigmem"}]
    answer = drills.post("run_jobs", {"jobs": jobs}, "bob")
    message = "jobs[1].client_group: there is no client group 'bigmem'; there are local."
    assert (answer.error["code"], answer.error["message"]) == (-32104, message)
    assert drills.call("list_jobs", {"limit": 1, "fields": []}, "bob") == before


def test_a_batch_is_cancelled_by_its_id(drills: Stack) -> None:
    gate = drills.folder / "never"
    jobs = [{"method": "drill.count", "params": [{"gate": str(gate)}]}] * 3
    batch_id = drills.call("run_jobs", {"jobs": jobs}, "alice")["batch_id"]
    assert drills.call("cancel_job", {"job_id": batch_id}, "alice")["cancelled"] == 3
    batch = wait_until(lambda: ended_batch(drills, batch_id), 60, "the end of the batch")
    assert (batch["status"], batch["children"]) == ("terminated", {"terminated": 3})


def ended_batch(stack: Stack, batch_id: str) -> dict | None:
    batch = stack.call("check_job", {"job_id": batch_id}, "alice")
    return batch if set(batch["children"]) <= {"completed", "error", "terminated"} else None


def test_the_same_key_and_request_give_the_first_job(drills: Stack) -> None:
    asked = {"method": "drill.count", "params": [{"lines": 1}], "idempotency_key": "monday's run"}
    first = drills.call("run_job", asked, "alice")
    assert drills.call("run_job", asked, "alice") == first
    drills.wait_for(first)
    assert drills.call("run_job", asked, "alice") == first
    assert drills.call("run_job", asked, "bob") != first  # keys are each user's own


def test_the_same_key_with_another_request_names_the_first_job(drills: Stack) -> None:
    asked = {"method": "drill.count", "params": [{"lines": 1}], "idempotency_key": "tuesday's run"}
    first = drills.call("run_job", asked, "alice")
    answer = drills.post("run_job", asked | {"params": [{"lines": 2}]}, "alice")
    assert (answer.error["code"], answer.error["data"]) == (-32110, {"reason": "idempotency_conflict", "job_id": first})
    assert answer.error["message"] == (
        f'idempotency_key "tuesday\'s run" was used before, with another request, for {first}; '
        "use a new key for a new request."
    )


def test_the_same_key_gives_the_first_batch(drills: Stack) -> None:
    asked = {"jobs": [{"method": "drill.count"}] * 3, "idempotency_key": "three"}
    first = drills.call("run_jobs", asked, "alice")
    assert drills.call("run_jobs", asked, "alice") == first
    answer = drills.post("run_jobs", {**asked, "jobs": asked["jobs"][:2]}, "alice")
    assert answer.error["data"]["job_id"] == first["batch_id"]


def test_retries_answer_for_each_job(drills: Stack) -> None:
    failed = finished(drills, "drill.fail", {"message": "No."})
    gate = drills.folder / "retries.gate"
    running = drills.call("run_job", {"method": "drill.count", "params": [{"gate": str(gate)}]}, "alice")
    unknown = "0" * 24
    results = drills.call("retry_jobs", {"job_ids": [failed["job_id"], running, unknown]}, "alice")
    assert [result["job_id"] for result in results] == [failed["job_id"], running, unknown]
    again = drills.wait_for(results[0]["retry_id"])
    assert (again["status"], again["cause"]["message"], again["params"]) == ("error", "No.", failed["params"])
    assert (again["retry_of"], again["service_ver"]) == (failed["job_id"], failed["service_ver"])
    assert drills.call("check_job", {"job_id": failed["job_id"]}, "alice")["retries"] == [again["job_id"]]
    assert results[1]["error"]["reason"] == "not_retryable"
    assert results[1]["error"]["message"].endswith("only a job that has ended can be retried.")
    assert results[2]["error"] == {
        "code": -32100,
        "reason": "job_not_found",
        "message": f"There is no job {unknown}, or you may not read it.",
    }
    gate.touch()
    drills.wait_for(running)
