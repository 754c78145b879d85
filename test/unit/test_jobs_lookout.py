import threading

from execution_engine.core.errors import AuthUnavailable
from execution_engine.jobs.lookout import Lookout


def refuse() -> None:
    raise AuthUnavailable("The Auth service can't be used now: no connection within 4 s.")


def break_() -> None:
    raise RuntimeError("a bug")


def test_services_that_answer_have_no_problem_and_others_say_theirs() -> None:
    lookout = Lookout({"auth": refuse, "workspace": lambda: None, "catalog": break_})
    assert lookout.problems() == {
        "auth": "The Auth service can't be used now: no connection within 4 s.",
        "workspace": None,
        "catalog": "It could not be looked at; the log says why.",
    }


def test_nothing_is_asked_before_somebody_wants_to_know() -> None:
    asked: list[str] = []
    lookout = Lookout({"auth": lambda: asked.append("auth")})
    assert asked == []
    lookout.problems()
    lookout.problems()
    assert asked == ["auth"]


def test_a_service_that_hangs_holds_up_nobody_else() -> None:
    release = threading.Event()
    lookout = Lookout({"auth": release.wait, "workspace": lambda: None})
    try:
        assert lookout.problems() == {"auth": "It has not answered yet.", "workspace": None}
    finally:
        release.set()


def test_services_are_asked_again_and_again() -> None:
    answers = iter([refuse, refuse])
    again = threading.Event()

    def ping() -> None:
        try:
            next(answers)()
        except StopIteration:
            again.set()

    lookout = Lookout({"auth": ping}, pause_seconds=0.01)
    assert lookout.problems()["auth"] is not None
    assert again.wait(30)
    while lookout.problems()["auth"] is not None:
        pass
