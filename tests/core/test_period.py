from calendar import monthrange
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core import period
from broker.core.clock import DAY, SECOND

KINDS = st.sampled_from(["day", "week", "month"])
INSTANTS = st.integers(0, 4_000_000_000 * SECOND)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * SECOND)


@pytest.mark.parametrize(
    ("kind", "now", "start", "end"),
    [
        ("day", "2024-02-29T23:59:59", "2024-02-29", "2024-03-01"),
        ("week", "2026-11-22T12:00:00", "2026-11-16", "2026-11-23"),
        ("week", "2026-11-23T00:00:00", "2026-11-23", "2026-11-30"),
        ("month", "2024-02-29T12:00:00", "2024-02-01", "2024-03-01"),
        ("month", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("month", "2026-01-31T00:00:00", "2026-01-01", "2026-02-01"),
    ],
)
def test_windows_are_those_of_the_utc_calendar(kind: str, now: str, start: str, end: str) -> None:
    assert (period.start(kind, at(now)), period.end(kind, at(now))) == (at(start), at(end))


@given(KINDS, INSTANTS)
def test_each_instant_is_in_one_window(kind: str, now: int) -> None:
    start, end = period.start(kind, now), period.end(kind, now)
    assert end is not None
    assert start <= now < end
    assert period.start(kind, end - 1) == start
    assert period.start(kind, end) == end


def test_a_grant_is_one_window_without_end() -> None:
    assert (period.start("grant", 5), period.end("grant", 5)) == (0, None)


def test_an_unknown_period_is_an_error() -> None:
    with pytest.raises(ValueError):
        period.start("year", 5)


TIERS = {
    29: ["2026-12-29", "2027-01-29", "2027-02-28", "2027-03-29"],
    30: ["2026-12-30", "2027-01-30", "2027-02-28", "2027-03-30"],
    31: ["2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31"],
}


@pytest.mark.parametrize("anchor_day", range(1, 32))
def test_a_tiers_month_begins_on_its_anchor_day_or_the_last_of_a_shorter_month(anchor_day: int) -> None:
    now = at("2023-01-01")
    for _ in range(2_000):
        first, last = period.start("tier", now, anchor_day), period.end("tier", now, anchor_day)
        assert last is not None
        assert first <= now < last
        begun = datetime.fromtimestamp(first // SECOND, UTC)
        assert begun.day == min(anchor_day, monthrange(begun.year, begun.month)[1])
        assert period.start("tier", last, anchor_day) == last
        assert period.start("tier", last - 1, anchor_day) == first
        now += DAY


@pytest.mark.parametrize("anchor_day", TIERS)
def test_the_anchor_day_stays_what_it_is_after_a_february(anchor_day: int) -> None:
    now, found = at(f"2026-12-{anchor_day}"), []
    for _ in range(4):
        found.append(datetime.fromtimestamp(now // SECOND, UTC).date().isoformat())
        end = period.end("tier", now, anchor_day)
        assert end is not None
        now = end
    assert found == TIERS[anchor_day]


def test_a_leap_day_is_an_anchor_day_of_its_own() -> None:
    assert period.end("tier", at("2028-01-29"), 29) == at("2028-02-29")
    assert period.end("tier", at("2028-02-29"), 31) == at("2028-03-31")
