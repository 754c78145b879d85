"""What a job's ad says about the attempt, while HTCondor has it in the queue."""

from typing import Any

from execution_engine.backends.base import Sighting, SightingState
from execution_engine.backends.condor.codes import meaning
from execution_engine.backends.condor.endings import ATTRIBUTES as OF_ENDINGS
from execution_engine.backends.condor.endings import ended, host

Ad = dict[str, Any]
IDLE, RUNNING, REMOVED, COMPLETED, HELD, TRANSFERRING_OUTPUT, SUSPENDED = range(1, 8)
ATTRIBUTES = [
    *OF_ENDINGS,
    "RemoteHost",
    "HoldReason",
    "HoldReasonCode",
    "HoldReasonSubCode",
    "LastRejMatchReason",
    "JobDisconnectedDate",
]
FILES_MISSING = "Its files are on their way to the schedd."
_SPOOLING = 16
_REJECTED = {
    "concurrency limit": "A concurrency limit of the pool is reached.",
    "insufficient priority": "Its user has used more of the pool than others who wait.",
    "submitter limit": "Its user's share of the pool is used up.",
    "submitter quota": "Its accounting group's share of the pool is used up.",
    "group quota": "Its accounting group's share of the pool is used up.",
    "no match found": "No free slot of the pool fits it now.",
}


def sighting(ad: Ad) -> Sighting:
    """How an attempt is whose job is in the queue."""
    status = ad["JobStatus"]
    if status == IDLE:
        return ended(ad) if has_started(ad) else Sighting(SightingState.WAITING, reason=why_waiting(ad))
    if lacks_files(ad):
        return Sighting(SightingState.WAITING, reason=FILES_MISSING)
    if status == HELD:
        return _held(ad)
    return Sighting(SightingState.RUNNING, reason=_unusual(ad), host=host(ad))


def lacks_files(ad: Ad) -> bool:
    """Whether the schedd still waits for the files of its submission; as long as it does, the job can't start."""
    return ad["JobStatus"] == HELD and ad.get("HoldReasonCode") == _SPOOLING


def has_started(ad: Ad) -> bool:
    """Whether HTCondor has begun to start it, once; it never begins again."""
    return int(ad.get("NumShadowStarts", 0)) > 0


def why_waiting(ad: Ad) -> str:
    """What keeps an idle job from starting, as far as the negotiator has said."""
    rejected = str(ad.get("LastRejMatchReason", "")).lower()
    for words, sentence in _REJECTED.items():
        if words in rejected:
            return sentence
    return f"HTCondor says: {rejected.strip()}." if rejected.strip() else "HTCondor has not looked for a slot yet."


def why_held(ad: Ad) -> str:
    """Why a job is held, in plain words and in HTCondor's."""
    words = meaning(ad.get("HoldReasonCode"), ad.get("HoldReasonSubCode")).words
    return f"{words} HTCondor says: {ad['HoldReason']}" if ad.get("HoldReason") else words


def _held(ad: Ad) -> Sighting:
    cause = meaning(ad.get("HoldReasonCode"), ad.get("HoldReasonSubCode")).cause
    return Sighting(SightingState.HELD, reason=why_held(ad), host=host(ad), cause=cause)


def _unusual(ad: Ad) -> str | None:
    """What there is to say of a job that occupies a slot, or did just now."""
    status = ad["JobStatus"]
    if status == REMOVED:
        return "It is being removed."
    if status in (COMPLETED, TRANSFERRING_OUTPUT):
        return "It has ended, and HTCondor is tidying up."
    if status == SUSPENDED:
        return "HTCondor has suspended it."
    if "JobDisconnectedDate" in ad:
        return "HTCondor has lost contact with its machine."
    return None
