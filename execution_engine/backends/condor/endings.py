"""What the ad of a job that is over says about the attempt: how it ended, and why."""

from typing import Any

from execution_engine.backends.base import Sighting, SightingState
from execution_engine.backends.condor.codes import meaning
from execution_engine.backends.condor.description import LIMIT, LIMIT_MARGIN_SECONDS, TAG

Ad = dict[str, Any]
CANCELLED = "Cancelled in the Execution Engine"
"""The reason with which the backend removes jobs."""

ATTRIBUTES = [
    TAG,
    LIMIT,
    "GlobalJobId",
    "JobStatus",
    "NumShadowStarts",
    "ExitCode",
    "ExitBySignal",
    "ExitSignal",
    "RemoveReason",
    "LastHoldReason",
    "LastHoldReasonCode",
    "LastHoldReasonSubCode",
    "VacateReason",
    "VacateReasonCode",
    "VacateReasonSubCode",
    "LastRemoteHost",
    "JobCurrentStartExecutingDate",
    "EnteredCurrentStatus",
]
_COMPLETED = 4
_OWN_POLICY = "The job attribute PeriodicRemove expression"
_BY_A_PERSON = "via condor_rm"  # a schedd that was killed while it took a job removes it with other words
_SPOOLING = 16


def ended(ad: Ad) -> Sighting:
    """The last word about an attempt whose job has left the queue, or is idle after its only start."""
    if ad["JobStatus"] == _COMPLETED:
        return _by_itself(ad)
    reason, started = str(ad.get("RemoveReason", "")), int(ad.get("NumShadowStarts", 0)) > 0
    if reason.startswith(CANCELLED):
        return _gone(ad, "cancelled" if started else "cancelled_before_start", reason)
    if reason and not reason.startswith(_OWN_POLICY) and (started or reason.startswith(_BY_A_PERSON)):
        return _gone(ad, "removed", f"HTCondor says: {reason}")
    return _by_policy(ad) if started else _gone(ad, "never_started", meaning(_SPOOLING).words)


def host(ad: Ad) -> str | None:
    """The machine that runs it, or did."""
    name = ad.get("RemoteHost") or ad.get("LastRemoteHost")
    return str(name).rpartition("@")[2] if name else None


def _by_itself(ad: Ad) -> Sighting:
    if ad.get("ExitBySignal"):
        number = int(ad.get("ExitSignal", 0))
        return Sighting(
            SightingState.GONE, host=host(ad), signal=number, detail=f"The runner was ended by signal {number}."
        )
    code = int(ad.get("ExitCode", 0))
    detail = f"The runner ended with exit code {code}."
    return Sighting(SightingState.GONE, host=host(ad), exit_code=code, detail=detail)


def _by_policy(ad: Ad) -> Sighting:
    """Why a job left its slot that is not allowed another start."""
    if _was_held(ad):
        return _for_code(ad, "LastHoldReason")
    if _is_over_time(ad):
        return _gone(ad, "time_limit", f"HTCondor removed the job, which ran longer than its {ad[LIMIT]} s.")
    return _for_code(ad, "VacateReason")


def _was_held(ad: Ad) -> bool:
    """Whether a hold ended it; each job is held once before its start, until its files have arrived."""
    return int(ad.get("LastHoldReasonCode", _SPOOLING)) != _SPOOLING


def _is_over_time(ad: Ad) -> bool:
    began, limit = ad.get("JobCurrentStartExecutingDate"), int(ad.get(LIMIT, 0))
    return bool(began and limit and int(ad["EnteredCurrentStatus"]) - int(began) >= limit + LIMIT_MARGIN_SECONDS)


def _for_code(ad: Ad, attribute: str) -> Sighting:
    cause, words = meaning(ad.get(f"{attribute}Code"), ad.get(f"{attribute}SubCode"))
    said = str(ad.get(attribute, ""))
    return _gone(ad, cause, f"{words} HTCondor says: {said}" if said else words)


def _gone(ad: Ad, cause: str, detail: str) -> Sighting:
    return Sighting(SightingState.GONE, reason=cause, host=host(ad), detail=detail)
