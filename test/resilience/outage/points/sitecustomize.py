# ruff: noqa: PTH108, PTH118, PTH123, PTH208 this is loaded by every process, and must not import what it can do without
"""Fault points: a process of the engine dies, as by SIGKILL, at one step of its work.

Python loads this module at its start where this folder is on PYTHONPATH, which only the tests of outages see to: there
is nothing of it in the engine. The environment variable EE_FAULT_POINTS names a folder; a file ``POINT.N`` in it arms
the point once, and whoever reaches the point first takes the file and dies. The points:

``dispatcher-EVENT-before``, ``dispatcher-EVENT-after``
    around a write of transitions of this event (``core.transitions``), which is not committed yet;
``dispatcher-submit-before-BACKEND``, ``…-half-…``, ``…-after-…``
    before a backend is handed jobs; when it has half of them; before its answer is recorded;
``dispatcher-cancel-before-BACKEND``, ``dispatcher-cancel-after-BACKEND``
    around an order to cancel;
``dispatcher-slots-taken``, ``dispatcher-slots-freed``
    when slots under limits are written for a claim, or removed, which perhaps is not committed yet;
``dispatcher-ids``
    before the ids of a backend's answer are noted;
``web-EVENT-before``, ``web-EVENT-after``
    around a transition that a call brings about: started, completed, cancel_requested, terminated …;
``web-lines-before``, ``web-lines-after``, ``web-output-after``
    around the storing of log lines; when an output is stored and the end is not;
``runner-EVENT-after-BACKEND``, ``runner-lines-after-BACKEND``
    the runner that made the call is killed instead, before it has the answer.
"""

import importlib.abc
import importlib.machinery
import os
import signal
import sys

SETTLE_SECONDS = 10.0
FOLDER = os.environ.get("EE_FAULT_POINTS")


def is_armed(point):
    for name in os.listdir(FOLDER):
        if name.rpartition(".")[0] == point:
            try:
                os.unlink(os.path.join(FOLDER, name))
            except FileNotFoundError:
                continue
            return True
    return False


def die_at(point):
    if is_armed(point):
        os.kill(os.getpid(), signal.SIGKILL)


def kill_runner_at(point, job_id, attempt):
    if not is_armed(point):
        return
    mark = f"EE_ATTEMPT_TAG=ee.{job_id}.{attempt}\0".encode()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/environ", "rb") as environment:
                command = line.read()
                if b"--ticket-file" in command and b"ee-wrapper" not in command and mark in environment.read():
                    os.kill(int(pid), signal.SIGKILL)
        except OSError:
            continue


def around(owner, name, before=lambda *_: None, after=lambda *_: None):
    original = getattr(owner, name)

    def wrapped(*arguments, **named):
        before(*arguments)
        answer = original(*arguments, **named)
        after(answer, *arguments)
        return answer

    setattr(owner, name, wrapped)


def in_jobs(module):
    def before(_store, _job_id, transition, *_):
        die_at(f"web-{transition.event}-before")

    def after(job, _store, job_id, transition, *_):
        die_at(f"web-{transition.event}-after")
        if job:
            kill_runner_at(f"runner-{transition.event}-after-{job.get('backend')}", job_id, transition.attempt)

    def before_many(_store, transitions, *_):
        for event in sorted({transition.event for _, transition in transitions}):
            die_at(f"dispatcher-{event}-before")

    def after_many(_count, _store, transitions, *_):
        for event in sorted({transition.event for _, transition in transitions}):
            die_at(f"dispatcher-{event}-after")

    around(module.JobStore, "apply", before, after)
    around(module.JobStore, "apply_many", before_many, after_many)
    around(module.JobStore, "note_backend_id", lambda *_: die_at("dispatcher-ids"))


def in_slots(module):
    around(module.SlotStore, "take", after=lambda *_: die_at("dispatcher-slots-taken"))
    around(module.SlotStore, "free_ended", after=lambda *_: die_at("dispatcher-slots-freed"))


def in_logs(module):
    def added(_end, store, job_id, attempt, *_):
        die_at("web-lines-after")
        if any(name.startswith("runner-lines-after") for name in os.listdir(FOLDER)):
            job = store._chunks.database.jobs.find_one({"_id": job_id}, {"backend": 1})
            kill_runner_at(f"runner-lines-after-{job['backend']}", job_id, attempt)

    around(module.LogStore, "add", lambda *_: die_at("web-lines-before"), added)


def in_payloads(module):
    around(module.PayloadStore, "put_output", after=lambda *_: die_at("web-output-after"))


def in_kinds(module):
    build = module.build_backends

    def built(settings):
        backends = build(settings)
        for name, backend in backends.items():
            points_of(name, backend)
        return backends

    module.build_backends = built


def points_of(name, backend):
    if name == "slurm":
        # Its half minute until a job that it does not list counts as unknown to it is not needed of a Slurm beside us.
        backend.settle_seconds = backend._absences._patience_seconds = SETTLE_SECONDS
    submit = backend.submit

    def submit_with_points(jobs):
        die_at(f"dispatcher-submit-before-{name}")
        if is_armed(f"dispatcher-submit-half-{name}"):
            submit(jobs[: (len(jobs) + 1) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        answer = submit(jobs)
        die_at(f"dispatcher-submit-after-{name}")
        return answer

    backend.submit = submit_with_points
    around(
        backend,
        "cancel",
        lambda *_: die_at(f"dispatcher-cancel-before-{name}"),
        lambda *_: die_at(f"dispatcher-cancel-after-{name}"),
    )


PLACES = {
    "execution_engine.store.jobs": in_jobs,
    "execution_engine.store.slots": in_slots,
    "execution_engine.store.logs": in_logs,
    "execution_engine.store.payloads": in_payloads,
    "execution_engine.backends.kinds": in_kinds,
}


class Finder(importlib.abc.MetaPathFinder):
    """Sets the points of a module when it has been imported."""

    def find_spec(self, name, path, target=None):
        if name not in PLACES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module

        def execute_and_set(module):
            execute(module)
            PLACES[name](module)

        spec.loader.exec_module = execute_and_set
        return spec


if FOLDER:
    sys.meta_path.insert(0, Finder())
