"""HTCondor's codes for why a job is held and why it had to leave its slot: causes of ours, and plain words.

A code below 1000 says why a job is held, one from 1000 on why it was put off its slot.
"""

from typing import NamedTuple


class Meaning(NamedTuple):
    """A cause of :mod:`execution_engine.core.causes`, and a sentence; HTCondor's own text follows it."""

    cause: str
    words: str


_UNKNOWN_HOLD = Meaning("held", "HTCondor holds the job.")
_NO_REASON = Meaning("node_died", "The job's machine, or the process that watched the job for HTCondor, is gone.")
_MEMORY = Meaning("out_of_memory", "The job used more memory than it had asked for.")
_DISK = Meaning("disk_limit", "The job used more disk than it had asked for.")
_LIMIT = Meaning("time_limit", "The job ran longer than the pool allows.")
_POLICY = Meaning("held", "A rule of the pool holds the job.")
_FILES = Meaning("never_started", "The runner's files could not be brought to the machine.")
_NOT_BEGUN = Meaning("never_started", "The job could not be started on its machine.")
_DEAD = Meaning("node_died", "The machine that ran the job failed, or can't be reached any more.")
_DISPLACED = Meaning("preempted", "HTCondor took the job's slot away.")

_CODES: dict[int, Meaning] = {
    1: Meaning("held", "An operator holds the job."),
    **dict.fromkeys((3, 5, 26, 27), _POLICY),
    6: Meaning("never_started", "The runner's Python could not be started on the machine."),
    **dict.fromkeys((7, 8, 9, 10, 11, 12, 13, 14, 18, 32, 33), _FILES),
    15: Meaning("held", "The job was submitted on hold."),
    16: Meaning("never_started", "The job's files have not arrived at the schedd."),
    **dict.fromkeys((17, 19, 23, 24, 28, 29, 30, 31, 35, 45, 48), _NOT_BEGUN),
    21: _POLICY,
    34: _MEMORY,
    46: _LIMIT,
    47: _LIMIT,
    1000: _DISPLACED,
    1001: _DISPLACED,
    1002: _DEAD,
    1003: _NOT_BEGUN,
    1004: Meaning("preempted", "An operator took the job's slot away."),
    1005: _DISPLACED,
    1006: _NOT_BEGUN,
    1007: _DEAD,
    1008: _DEAD,
    1009: _DISPLACED,
    1010: _DISPLACED,
    1011: _DISPLACED,
    1012: _DEAD,
    1013: Meaning("node_died", "HTCondor was shut down on the machine that ran the job."),
    1014: Meaning("preempted", "The machine that ran the job is being drained."),
    1015: _DISPLACED,
    1016: Meaning("node_died", "The machine that ran the job went to sleep."),
    1017: _DISPLACED,
    1018: Meaning("preempted", "The machine prefers another job."),
    1019: Meaning("preempted", "HTCondor gave the job's slot to a user with a better priority."),
}
_OUT_OF_DISK = (34, 104)
_BY_STARTD = {102: _MEMORY, 104: _DISK}  # code 21: the machine's policy, which says by the subcode what was exceeded


def meaning(code: int | None, subcode: int | None = None) -> Meaning:
    """What a code says; None stands for a job that left its slot without one."""
    if code is None:
        return _NO_REASON
    if (code, subcode) == _OUT_OF_DISK:
        return _DISK
    if code == 21 and subcode in _BY_STARTD:
        return _BY_STARTD[subcode]
    return _CODES.get(code, _UNKNOWN_HOLD if code < 1000 else _DISPLACED)
