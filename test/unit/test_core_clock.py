import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from execution_engine.core.clock import EPOCH, from_ms, now, to_ms

LAST = 253_402_300_799_999  # the end of the year 9999, as in the contract


@given(st.integers(min_value=0, max_value=LAST))
def test_a_time_on_the_wire_comes_back_as_it_was(milliseconds: int) -> None:
    assert to_ms(from_ms(milliseconds)) == milliseconds


def test_milliseconds_count_from_1970_in_utc() -> None:
    assert from_ms(0) == EPOCH == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert to_ms(dt.datetime(2026, 2, 3, 4, 5, 6, 7_999, tzinfo=dt.UTC)) == 1_770_091_506_007
    assert from_ms(LAST).year == 9999


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    noon = dt.datetime(2026, 2, 3, 12, tzinfo=dt.timezone(dt.timedelta(hours=-8)))
    assert to_ms(noon) == to_ms(noon.astimezone(dt.UTC))


def test_now_is_what_the_database_can_hold() -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=1)
    time = now()
    assert time.tzinfo is dt.UTC
    assert time.microsecond % 1000 == 0
    assert before <= time <= dt.datetime.now(dt.UTC)
