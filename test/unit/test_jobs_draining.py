from typing import Any

import pytest
from store_engine import person

from execution_engine.core.errors import BackendNotFound, InvalidParams
from execution_engine.jobs import draining
from execution_engine.jobs.audit_pages import list_audit
from execution_engine.jobs.draining import set_backend_state
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin

ROOT, RITA = person("root", Admin.FULL), person("rita", Admin.FULL)


def audited(engine: Engine) -> list[dict[str, Any]]:
    """Oldest first."""
    return list_audit(engine, {"act": "set_backend_state"})[0][::-1]


def test_drain_and_resume(engine: Engine) -> None:
    drained = set_backend_state(engine, ROOT, "local", "draining", " new disks ")
    assert drained is not None
    assert (drained["by"], drained["reason"]) == ("root", "new disks")
    assert engine.backends.drained() == {"local"}
    assert set_backend_state(engine, RITA, "local", "up", "disks are in") is None
    assert engine.backends.drained() == set()
    began, ended = audited(engine)
    assert (began["actor"], began["role"], began["subject"]) == ("root", "admin", "backend local")
    assert (began["before"], began["after"]) == ({"state": "up"}, {"state": "draining", "reason": "new disks"})
    assert (ended["before"], ended["after"]) == ({"state": "draining", "reason": "new disks"}, {"state": "up"})
    assert ended["reason"] == "disks are in"
    assert "jobs" not in began


def test_what_is_so_already_is_not_done_again(engine: Engine) -> None:
    assert set_backend_state(engine, ROOT, "local", "up", None) is None
    first = set_backend_state(engine, ROOT, "local", "draining", "new disks")
    assert set_backend_state(engine, RITA, "local", "draining", "new disks") == first
    assert len(audited(engine)) == 1


def test_another_reason_keeps_since_when(engine: Engine) -> None:
    first = set_backend_state(engine, ROOT, "local", "draining", "new disks")
    second = set_backend_state(engine, RITA, "local", "draining", "a new building")
    assert first is not None
    assert second == {"since": first["since"], "by": "rita", "reason": "a new building"}


def test_two_administrators_at_once_are_both_heard_in_order(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    write = engine.backends.set_drained
    others = [lambda: write("local", None, {"since": draining.now(), "by": "rita", "reason": "first"}, {"id": 1})]

    def late(*args: Any) -> bool:
        if others:
            others.pop()()
        return write(*args)

    monkeypatch.setattr(engine.backends, "set_drained", late)
    set_backend_state(engine, ROOT, "local", "draining", "second")
    found = engine.backends.get_drained("local")
    assert found is not None
    assert found["reason"] == "second"
    engine.database.backends.update_one({"_id": "local"}, {"$pull": {"outbox": {"id": 1}}})
    assert [entry["before"] for entry in audited(engine)] == [{"state": "draining", "reason": "first"}]


def test_a_report_of_the_dispatcher_leaves_the_order_as_it_is(engine: Engine) -> None:
    set_backend_state(engine, ROOT, "local", "draining", "new disks")
    engine.backends.report("local", draining.now(), "up", None, {}, "")
    assert engine.backends.drained() == {"local"}
    assert "outbox" not in engine.backends.all()["local"], "notes of acts are the audit's"


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_draining_needs_a_reason(engine: Engine, reason: str | None) -> None:
    with pytest.raises(InvalidParams, match="say why"):
        set_backend_state(engine, ROOT, "local", "draining", reason)


def test_an_unknown_backend(engine: Engine) -> None:
    with pytest.raises(BackendNotFound, match="no backend moon; expected one of local"):
        set_backend_state(engine, ROOT, "moon", "draining", "too far")
