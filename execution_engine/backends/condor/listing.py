"""The jobs of this engine in the schedd's queue, in the order in which those of one user start."""

from collections.abc import Iterable
from typing import Any

from execution_engine.backends.base import QueueEntry, SightingState
from execution_engine.backends.condor import sightings
from execution_engine.backends.condor.description import GROUP, TAG, client_group

Ad = dict[str, Any]
ATTRIBUTES = [*sightings.ATTRIBUTES, GROUP, "JobPrio", "ClusterId", "ProcId"]


def entries(ads: Iterable[Ad]) -> list[QueueEntry]:
    """Those that wait, in their order and numbered, then the others; those that are over are left out."""
    seen = [(ad, sightings.sighting(ad)) for ad in sorted(ads, key=_order)]
    waiting = [(ad, sighting) for ad, sighting in seen if sighting.state is SightingState.WAITING]
    others = [(ad, it) for ad, it in seen if it.state not in (SightingState.WAITING, SightingState.GONE)]
    return [
        *(_entry(ad, it.state, it.reason, position) for position, (ad, it) in enumerate(waiting, 1)),
        *(_entry(ad, it.state, it.reason, None) for ad, it in others),
    ]


def _order(ad: Ad) -> tuple[int, int, int]:
    return -int(ad.get("JobPrio", 0)), int(ad["ClusterId"]), int(ad["ProcId"])


def _entry(ad: Ad, state: SightingState, reason: str | None, position: int | None) -> QueueEntry:
    group = client_group(ad[GROUP]) if GROUP in ad else None
    return QueueEntry(ad["GlobalJobId"], ad.get(TAG), group, state, position, reason)
