"""The contract's calls, as questions and orders for an HTCondor pool."""

import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

from execution_engine.backends.base import (
    Absent,
    Accepted,
    Backend,
    Found,
    QueueEntry,
    Refused,
    Resources,
    Sighting,
    SightingState,
    Submission,
    Unknown,
    is_tag,
)
from execution_engine.backends.condor import ids, language, listing, sightings
from execution_engine.backends.condor.connection import Connection, NoAnswer, NotTaken
from execution_engine.backends.condor.description import ENGINE, TAG, Form
from execution_engine.backends.condor.endings import ATTRIBUTES, CANCELLED, ended
from execution_engine.backends.condor.inventory import Inventory
from execution_engine.backends.condor.settings import read
from execution_engine.backends.condor.slots import why_never
from execution_engine.config import BackendSettings, Settings
from execution_engine.core.errors import BackendUnavailable
from execution_engine.core.ids import parse_tag

_ANY_TAG = f"{TAG} =!= undefined"
_REMEMBERED = 10_000
_LOOK_BACK_SECONDS = 86_400  # the history is in the order of writing, which is not quite that of the ends
Ad = dict[str, Any]


class CondorBackend(Backend):
    """Runs attempts as jobs of a schedd. The id is the job's GlobalJobId, which no other job of any schedd has.

    Nothing is kept between calls: the schedd has every job in its queue, and after that in its history.
    """

    kind: ClassVar[str] = "condor"
    settle_seconds = 5.0  # for a submission that a hanging schedd takes up again after its call was given up

    def __init__(
        self,
        name: str,
        connection: Connection,
        form: Form,
        client_groups: Sequence[str] = (),
        *,
        timeout_seconds: float = 15.0,
        submit_timeout_seconds: float = 30.0,
    ) -> None:
        """``client_groups``: those whose slots :meth:`resources` counts; without any, all slots that may be used."""
        super().__init__(name)
        self._connection = connection
        self._form = form
        self._client_groups = tuple(client_groups)
        self._timeout_seconds = timeout_seconds
        self._submit_timeout_seconds = submit_timeout_seconds
        self._inventory = Inventory(self._ask, form.groups)
        self._submitted: OrderedDict[str, str] = OrderedDict()

    @classmethod
    def from_settings(cls, section: BackendSettings, settings: Settings) -> Self:
        """Options: see docs/how-to/htcondor.md."""
        chosen = read(section, settings)
        return cls(
            section.name,
            Connection(chosen.collector, chosen.schedd, chosen.token_dir),
            chosen.form,
            chosen.client_groups,
            timeout_seconds=chosen.timeout_seconds,
            submit_timeout_seconds=settings.submit_timeout_seconds,
        )

    def submit(self, jobs: Sequence[Submission]) -> dict[str, Accepted | Refused]:
        """One transaction. Ended attempts are recognised by the instance that submitted them; no tag is used twice."""
        outcomes: dict[str, Accepted | Refused] = {}
        fresh: dict[str, Submission] = {}
        known = self._known({job.tag for job in jobs})
        for job in jobs:
            if not is_tag(job.tag):
                outcomes[job.tag] = Refused(f"{job.tag!r} is not the tag of an attempt.", transient=False)
            elif job.tag in known:
                outcomes[job.tag] = Accepted(known[job.tag])
            elif sentence := why_never(job.requirements, self._inventory.recent(job.client_group)):
                outcomes[job.tag] = Refused(sentence, transient=False)
            else:
                fresh[job.tag] = job
        return outcomes | self._hand_over(list(fresh.values()))

    def poll(self, backend_ids: Iterable[str]) -> dict[str, Sighting]:
        """One question for the queue, and one for the history of those that it does not have any more."""
        wanted = list(backend_ids)
        if not wanted:
            return {}
        seen = {ad["GlobalJobId"]: sightings.sighting(ad) for ad in self._queue(_ANY_TAG, sightings.ATTRIBUTES)}
        left = [one for one in wanted if one not in seen and ids.is_id(one)]
        if left:
            oldest = min(map(ids.submitted_at, left))
            seen |= {ad["GlobalJobId"]: ended(ad) for ad in self._history("GlobalJobId", left, oldest)}
        if any(one not in seen for one in left):
            schedd = self._ask("schedd_name")
            seen |= {one: _no_record(one, schedd) for one in left if one not in seen}
        no_id = Sighting(SightingState.UNKNOWN, reason="No id of this backend.")
        return {one: seen.get(one, no_id) for one in wanted}

    def find(self, tags: Iterable[str]) -> dict[str, Found | Absent | Unknown]:
        """Unknown: the schedd has the job, but not its files; it removes such a job after a while."""
        found: dict[str, Found | Absent | Unknown] = dict.fromkeys(tags, Absent())
        wanted = [tag for tag in found if is_tag(tag)]
        ads = self._queue(language.among(TAG, wanted), sightings.ATTRIBUTES)
        for ad in ads:
            found[ad[TAG]] = Unknown(sightings.FILES_MISSING) if sightings.lacks_files(ad) else Found(ad["GlobalJobId"])
        left = [tag for tag in wanted if found[tag] == Absent()]
        if left:
            oldest = min(map(_made_at, left))
            found |= {ad[TAG]: Found(ad["GlobalJobId"]) for ad in self._history(TAG, left, oldest)}
        return found

    def cancel(self, backend_ids: Iterable[str]) -> None:
        """What waits leaves the queue at once; what runs gets a TERM, and a KILL when HTCondor's patience ends."""
        wanted = list(backend_ids)
        if wanted:
            self._ask("remove", constraint=language.among("GlobalJobId", wanted), reason=CANCELLED)

    def resources(self) -> Resources:
        """All slots of the pool that serve our client groups, whoever uses them; the jobs are our own."""
        slots, groups = self._inventory.whole(self._client_groups)
        states = [entry.state for entry in self.queue()]
        cpus, used = sum(slot.cpus for slot in slots), sum(slot.cpus_used for slot in slots)
        return Resources(
            cpus_total=cpus,
            cpus_used=used,
            memory_mb_total=sum(slot.memory_mb for slot in slots),
            memory_mb_used=sum(slot.memory_mb_used for slot in slots),
            slots_total=cpus,
            slots_used=used,
            running=states.count(SightingState.RUNNING),
            waiting=states.count(SightingState.WAITING),
            groups=groups,
        )

    def queue(self) -> list[QueueEntry]:
        """The order is that of one user's jobs; between users HTCondor decides anew in each negotiation."""
        ours = f"{ENGINE} == {language.text(self._form.engine)}"
        return listing.entries(self._queue(ours, listing.ATTRIBUTES))

    def _known(self, tags: Iterable[str]) -> dict[str, str]:
        """The ids of the attempts that the schedd has, or had and got from this instance."""
        queued = self._queue(language.among(TAG, filter(is_tag, tags)), [TAG, "GlobalJobId"])
        submitted = {tag: self._submitted[tag] for tag in tags if tag in self._submitted}
        return submitted | {ad[TAG]: ad["GlobalJobId"] for ad in queued}

    def _hand_over(self, jobs: Sequence[Submission]) -> dict[str, Accepted | Refused]:
        if not jobs:
            return {}
        try:
            accepted = self._submit(jobs)
        except NotTaken as refusal:
            if len(jobs) > 1 and not refusal.transient:  # one of them spoils the transaction of all
                return {tag: outcome for job in jobs for tag, outcome in self._hand_over([job]).items()}
            message = f"HTCondor does not take the job: {refusal}."
            return {job.tag: Refused(message, transient=refusal.transient) for job in jobs}
        self._remember(accepted)
        return {tag: Accepted(backend_id) for tag, backend_id in accepted.items()}

    def _submit(self, jobs: Sequence[Submission]) -> dict[str, str]:
        description, variables = self._form.description(), [self._form.variables(job) for job in jobs]
        try:
            # Made here and not where it is filled: a process that is killed would leave the tickets.
            with tempfile.TemporaryDirectory(prefix="ee-tickets-") as folder:
                submitted: dict[str, str] = self._connection.call(
                    "submit", self._submit_timeout_seconds, description=description, jobs=variables, folder=folder
                )
        except NoAnswer as error:
            raise self._unusable(error) from error
        return submitted

    def _remember(self, accepted: dict[str, str]) -> None:
        self._submitted |= accepted
        while len(self._submitted) > _REMEMBERED:
            self._submitted.popitem(last=False)

    def _queue(self, constraint: str, projection: list[str]) -> list[Ad]:
        ads: list[Ad] = self._ask("queue", constraint=constraint, projection=projection)
        return ads

    def _history(self, attribute: str, values: list[str], oldest: int) -> list[Ad]:
        """The ads of ended jobs with one of the values, which were submitted at the Unix time ``oldest`` or later."""
        ads: list[Ad] = self._ask(
            "history",
            constraint=language.among(attribute, values),
            projection=ATTRIBUTES,
            until=min(oldest, int(time.time())) - _LOOK_BACK_SECONDS,
            limit=len(values),
        )
        return ads

    def _ask(self, call: str, **arguments: Any) -> Any:
        try:
            return self._connection.call(call, self._timeout_seconds, **arguments)
        except NoAnswer as error:
            raise self._unusable(error) from error

    def _unusable(self, error: NoAnswer) -> BackendUnavailable:
        return BackendUnavailable(f"HTCondor of the backend {self.name} can't be used: {error}.")


def _no_record(backend_id: str, schedd: str) -> Sighting:
    """How a job is that the schedd has neither in its queue nor in its history."""
    if ids.schedd(backend_id) != schedd:
        reason = f"It was submitted to the schedd {ids.schedd(backend_id)}, and the one that is asked is {schedd}."
        return Sighting(SightingState.UNKNOWN, reason=reason)
    return Sighting(SightingState.GONE, detail="HTCondor has no record of the job any more.")


def _made_at(tag: str) -> int:
    """When the job of a tag was made, Unix time; its attempts are younger."""
    parsed = parse_tag(tag)
    return int(parsed[0].generation_time.timestamp()) if parsed else 0
