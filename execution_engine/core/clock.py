"""Time: aware UTC inside, integer milliseconds on the wire."""

import datetime as dt

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


def now() -> dt.datetime:
    """The time, UTC, cut to milliseconds: what MongoDB can hold, so that a stored time equals the one in hand."""
    time = dt.datetime.now(dt.UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def to_ms(time: dt.datetime) -> int:
    """Milliseconds since the epoch."""
    return (time - EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> dt.datetime:
    """The aware UTC time."""
    return EPOCH + dt.timedelta(milliseconds=milliseconds)
