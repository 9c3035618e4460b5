from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.web.chart import FLOOR, TALLEST, days_until, draw, start_of

BERLIN, LONDON, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), ZoneInfo("Asia/Kathmandu")


def _at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type, misc]


NOW = _at(2026, 11, 21, 13, 5)


def test_the_last_day_is_today_where_the_reader_is() -> None:
    late = _at(2026, 11, 21, 23, 30)
    assert days_until(late, 7, LONDON)[-1] == date(2026, 11, 21)
    assert days_until(late, 7, BERLIN)[-1] == date(2026, 11, 22)


@pytest.mark.parametrize(
    ("zone", "day"), [(LONDON, date(2026, 11, 20)), (BERLIN, date(2026, 11, 21)), (KATHMANDU, date(2026, 11, 21))]
)
def test_a_call_at_half_past_eleven_utc_is_in_the_readers_own_day(zone: ZoneInfo, day: date) -> None:
    chart = draw([(_at(2026, 11, 20, 23, 30), 270_000)], days_until(NOW, 7, zone), zone)
    assert {bar.day: bar.cost for bar in chart.bars if bar.cost} == {day: 270_000}


def test_a_day_begins_where_the_clocks_of_its_zone_say() -> None:
    assert start_of(date(2026, 11, 21), BERLIN) == _at(2026, 11, 20, 23)
    assert start_of(date(2026, 11, 21), KATHMANDU) == _at(2026, 11, 20, 18, 15)


def test_both_hours_of_a_long_night_count_in_their_day() -> None:
    zone = BERLIN  # the clocks went back on 25 Oct 2026
    costs = [(_at(2026, 10, 25, 0, 30), 1), (_at(2026, 10, 25, 1, 30), 2), (_at(2026, 10, 25, 22, 45), 4)]
    chart = draw(costs, days_until(_at(2026, 10, 26, 9), 7, zone), zone)
    assert {bar.day: bar.cost for bar in chart.bars if bar.cost} == {date(2026, 10, 25): 7}


def test_the_sum_of_the_bars_is_the_sum_of_the_costs() -> None:
    costs = [(_at(2026, 11, day, hour), day * hour) for day in range(1, 22) for hour in range(24)]
    chart = draw(costs, days_until(NOW, 30, LONDON), LONDON)
    assert chart.total == sum(cost for _, cost in costs)


def test_a_cost_before_the_first_day_is_left_out() -> None:
    assert draw([(_at(2026, 11, 1, 1), 5)], days_until(NOW, 7, LONDON), LONDON).total == 0


def test_the_highest_day_reaches_the_top_and_the_smallest_cost_is_still_seen() -> None:
    chart = draw([(_at(2026, 11, 20, 1), 1_000_000), (_at(2026, 11, 21, 1), 1)], days_until(NOW, 7, LONDON), LONDON)
    heights = {bar.day.day: bar.height for bar in chart.bars}
    assert (heights[20], heights[21], heights[19]) == (TALLEST, 1, 0)
    assert chart.highest.day == date(2026, 11, 20)


def test_a_daily_limit_above_every_cost_sets_the_axis() -> None:
    chart = draw([(_at(2026, 11, 20, 1), 100)], days_until(NOW, 7, LONDON), LONDON, cap=200)
    assert chart.top == 200
    assert chart.cap_y == FLOOR - TALLEST
    assert chart.highest.height == TALLEST / 2


@pytest.mark.parametrize("count", [7, 30, 90])
def test_labels_keep_their_distance_and_bars_stay_inside(count: int) -> None:
    chart = draw([], days_until(NOW, count, LONDON), LONDON)
    assert len(chart.bars) == count
    labelled = [bar for bar in chart.bars if bar.label]
    assert len(labelled) <= 10
    assert labelled[0].label.endswith(f"{labelled[0].day:%b}")
    assert all(bar.x >= 44 and bar.x + bar.width <= 672 for bar in chart.bars)
