"""Reporting the end until the engine acknowledges it."""

from __future__ import annotations

from .calls import FINAL, Refused, Unreachable
from .ending import Ending, failed
from .patience import Backoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .calls import Engine


def report(engine: Engine, attempt: dict[str, Any], ending: Ending, pause: Callable[[float], object]) -> bool:
    """Call ``finish_job`` for ever, until it is answered; False: the engine wants no report of this attempt.

    ``attempt``: job_id and attempt. An ending that the engine refuses is replaced by one that says so.
    """
    backoff = Backoff()
    while True:
        try:
            engine.call("finish_job", **attempt, **ending.params())
        except Unreachable:
            pause(backoff.delay())
        except Refused as refusal:
            if refusal.reason in FINAL:
                return False
            ending = _instead(ending, refusal)
            pause(backoff.delay())
        else:
            return True


def _instead(ending: Ending, refusal: Refused) -> Ending:
    """Another report than the refused one: less and less in it, as the one thing that matters is that it ends."""
    if refusal.reason in ("output_too_large", "body_too_large") and ending.cause is None:
        return failed("output_too_large", refusal.message, exit_code=0)
    if ending.cause is None:
        return failed("app_bad_output", f"The engine refuses the app's output: {refusal.message}", exit_code=0)
    return Ending(ending.outcome, cause={"code": ending.cause["code"]})
