"""The end of an attempt that was not left to its own end."""

from __future__ import annotations

import socket

from .calls import Refused
from .ending import Ending, failed
from .orders import CANCELLED, DISOWNED, STOPPED, TIME_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .orders import Orders


def ending_by_order(
    reason: str, orders: Orders, ask: Callable[[], dict[str, Any]], last_errors: str = ""
) -> Ending | None:
    """What to report after an order; None: nothing.

    ``ask`` fetches the engine's orders: a backend that cancels may be quicker with its signal than the engine.
    """
    if reason == STOPPED:
        try:
            orders.obey(ask())
        except Refused as refusal:
            orders.disown(refusal)
        reason = DISOWNED if orders.refusal else CANCELLED if orders.cancelled else STOPPED
    host = socket.gethostname()
    if reason == DISOWNED:
        return None
    if reason == CANCELLED:
        return Ending("terminated", cause={"code": "cancelled"})
    if reason == TIME_LIMIT:
        return failed("time_limit", detail=last_errors)
    if reason == STOPPED:
        return failed("runner_stopped", f"The runner on {host} was told to stop.")
    return runner_failed(orders.failure)


def runner_failed(error: BaseException | None) -> Ending:
    """The runner itself broke: a defect, or the disk below it did."""
    return failed("runner_lost", f"The runner on {socket.gethostname()} failed: {type(error).__name__}: {error}")
