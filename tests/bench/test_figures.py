"""The arithmetic between what was measured and what is printed."""

from typing import Any

import pytest

from tests.bench import disk, table
from tests.bench.compare import FULL, NORMAL, POSTGRES, TWO
from tests.bench.figures import Figures
from tests.bench.loading import Measured, Scene, read
from tests.bench.rounds import MANY, MOST, ONE, as_json, median
from tests.bench.targets import ROWS, missed, spread

TOLD: dict[str, Any] = {
    "seconds": 2.0,
    "good": 300,
    "incomplete": 2,
    "unanswered": 1,
    "whole": {"p50": 1500, "p90": 2000, "p99": 9000, "max": 9500},
    "first": {"p50": 250, "p90": 300, "p99": 400, "max": 500},
    "statuses": {"200": 300, "429": 40},
}


def _measured(**figures: float) -> dict[str, Any]:
    row = read(TOLD, 0).as_json()
    return row | figures


def _result(**servers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"compare": {"servers": servers, "machine": {"fdatasync_ms": 0.5}}}


def _rounds(**figures: list[float]) -> dict[str, Any]:
    """A scene of several rounds; its medians are no matter here."""
    return {"each": [dict(zip(figures, of_round, strict=True)) for of_round in zip(*figures.values(), strict=True)]}


def _cells(result: dict[str, Any], beginning: str) -> list[str]:
    (line,) = [line for line in table.render(result).splitlines() if line.startswith(f"| {beginning}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def _value(name: str, result: dict[str, Any], variant: str = FULL) -> float | None:
    (row,) = [row for row in ROWS if row.name == name]
    return row.of(Figures(result), variant)


def test_the_rate_is_of_good_answers() -> None:
    assert read(TOLD, 0).rps == 150


def test_processor_time_is_shared_by_every_answer_refused_ones_too() -> None:
    assert read(TOLD, 0.34).cpu_us == pytest.approx(1000)


def test_times_are_told_in_milliseconds() -> None:
    measured = read(TOLD, 0)
    assert (measured.p50, measured.p99, measured.first_p50) == (1.5, 9.0, 0.25)


def test_refused_broken_and_missing_answers_have_failed() -> None:
    assert read(TOLD, 0).failed == 43


def test_a_load_that_got_nothing_is_no_division_by_zero() -> None:
    nothing = TOLD | {"good": 0, "whole": {}, "first": {}, "statuses": {}}
    assert (read(nothing, 1.0).rps, read(nothing, 1.0).cpu_us) == (0, 0)


def test_the_median_is_of_each_figure_and_failures_add_up() -> None:
    rows = [Measured(rps, cpu, 1, 1, 1, 1, 2, {"200": 5}) for rps, cpu in ((1, 30), (9, 10), (5, 20))]
    middle = median(rows)
    assert (middle.rps, middle.p50, middle.failed, middle.statuses) == (5, 20, 6, {"200": 15})


def test_a_ratio_is_of_two_servers_in_the_same_scene() -> None:
    result = _result(**{FULL: {MANY.name: _measured(rps=900)}, "LiteLLM": {MANY.name: _measured(rps=10)}})
    assert _value("RPS ÷ LiteLLM, c=32", result) == 90


def test_what_was_not_measured_has_no_figure_and_is_not_missed() -> None:
    assert _value("RPS ÷ LiteLLM, c=32", {}) is None
    assert missed({}) == []


def test_added_time_is_above_that_of_the_provider_itself() -> None:
    direct, ours = {ONE.name: _measured(p50=0.25)}, {ONE.name: _measured(p50=1.0)}
    result = _result(**{"direct": direct, FULL: ours})
    assert _value("added p50 over direct, c=1", result) == 0.75
    assert _value("added p50 over direct, c=1, less one fdatasync", result) == 0.25


def test_two_workers_are_compared_with_one_of_the_same_kind() -> None:
    result = _result(**{NORMAL: {MOST.name: _measured(rps=100)}, NORMAL + TWO: {MOST.name: _measured(rps=140)}})
    assert _value("RPS of 2 workers ÷ of 1, c=256", result, NORMAL) == pytest.approx(1.4)


def test_a_must_that_is_not_met_is_named() -> None:
    result = _result(**{FULL: {MANY.name: _measured(cpu_us=301)}})
    assert missed(result) == ["CPU a call, c=32"]
    assert missed(_result(**{FULL: {MANY.name: _measured(cpu_us=300)}})) == []


def _beyond(**stores: int) -> dict[str, Any]:
    return {"limits": {"stores": {name: {"beyond": number} for name, number in stores.items()}}}


def test_one_call_over_a_limit_is_missed_on_either_store() -> None:
    assert missed(_beyond(**{FULL: 0, POSTGRES: 0})) == missed(_beyond(**{FULL: 0})) == []
    assert missed(_beyond(**{FULL: 1})) == ["calls over a limit, 2 workers, of 1,400"]
    assert missed(_beyond(**{FULL: 0, POSTGRES: 1})) == ["calls over a limit, 2 workers, of 1,400"]


def test_each_aim_is_at_least_as_hard_as_its_must() -> None:
    assert [row.name for row in ROWS if row.aim is not None and not row.meets(row.aim, row.must)] == []


def test_the_printed_table_says_what_is_met() -> None:
    result = _result(**{FULL: {MANY.name: _measured(cpu_us=200)}})
    assert _cells(result, "CPU a call") == ["CPU a call, c=32", "≤ 300 µs", "≤ 120 µs", "200 µs", "aim missed"]


@pytest.mark.parametrize(
    ("took", "met"), [(120, "yes"), (120.5, "aim missed"), (300, "aim missed"), (301, "MUST MISSED")]
)
def test_a_target_is_met_where_its_aim_is(took: float, met: str) -> None:
    assert _cells(_result(**{FULL: {MANY.name: _measured(cpu_us=took)}}), "CPU a call")[-1] == met


def test_a_target_is_judged_by_full_unless_its_row_names_another() -> None:
    fast, slow = {MANY.name: _measured(cpu_us=100)}, {MANY.name: _measured(cpu_us=900)}
    assert missed(_result(**{FULL: fast, NORMAL: slow, POSTGRES: slow})) == []
    servers = {"direct": {ONE.name: _measured(p50=0)}, NORMAL: {ONE.name: _measured(p50=0.9)}}
    assert missed(_result(**servers)) == ["added p50 over direct, c=1"]
    result = _result(**servers | {FULL: {}})
    assert _cells(result, "added p50 over direct, c=1 (")[0] == "added p50 over direct, c=1 (judged by SQLite NORMAL)"


def test_what_is_missed_is_said_in_words() -> None:
    result = _result(**{"LiteLLM": {MANY.name: _measured(rps=10)}, FULL: {MANY.name: _measured(rps=500, cpu_us=301)}})
    assert "Missed musts: CPU a call, c=32. Missed aims, where the must is met: RPS ÷ LiteLLM, c=32. " in table.render(
        result
    )


def test_a_sync_is_taken_off_as_it_took_when_the_servers_were_compared() -> None:
    result = _result(**{"direct": {ONE.name: _measured(p50=0.25)}, FULL: {ONE.name: _measured(p50=1.0)}})
    later = result | {"start": {"machine": {"fdatasync_ms": 0.75}}}
    assert _value("added p50 over direct, c=1, less one fdatasync", later) == 0.25


def test_each_round_is_kept_beside_the_median() -> None:
    rows = [Measured(rps, rps / 2, 1, rps / 4, 1, rps * 2, 0) for rps in (4, 8, 12)]
    told = as_json(rows)
    assert told["rps"] == 8
    assert told["each"][2] == {"rps": 12, "p50": 6, "first_p50": 3, "cpu_us": 24}


def test_the_spread_of_a_ratio_is_of_the_same_round() -> None:
    one, two = _rounds(rps=[100.0, 200.0, 100.0]), _rounds(rps=[140.0, 240.0, 150.0])
    result = _result(**{FULL: {MOST.name: one}, FULL + TWO: {MOST.name: two}})
    assert table.rounds(result)[1:] == [["RPS of 2 workers ÷ of 1, c=256", "1.20 to 1.50"]]


def test_one_round_has_no_spread() -> None:
    result = _result(**{FULL: {MOST.name: _rounds(rps=[100.0])}, FULL + TWO: {MOST.name: _rounds(rps=[140.0])}})
    assert "of the rounds" not in table.render(result)


def test_the_spread_of_a_part_is_of_what_it_keeps_of_each_time() -> None:
    times = [{"first_answer_seconds": seconds} for seconds in (1.5, 1.25, 2.25)]
    (row,) = [row for row in ROWS if row.name == "start to first answered call"]
    assert spread(row, {"start": {"first_answer_seconds": 1.5, "each": times}}, FULL) == (1.25, 2.25)


def test_each_part_says_when_and_where_it_was_measured() -> None:
    result = {"start": {"taken": "2026-01-02T03:04:05+00:00", "machine": {"fdatasync_ms": 0.2, "load_average": 1.5}}}
    assert table.parts(result)[1:] == [["start", "2026-01-02T03:04:05+00:00", "0.2", "1.5"]]


def test_what_other_parts_say_of_a_server_stands_in_its_line() -> None:
    result = _result(nginx={}) | {
        "rest": {"megabytes": {"nginx": 4.6}},
        "streams": {"kilobytes_a_stream": {"nginx": 17.78}},
    }
    assert table.servers(result)[0][-2:] == ["MB at rest", "kB a stream"]
    assert table.servers(result)[1][-2:] == ["5", "17.8"]


def test_the_body_of_a_scene_tells_the_provider_what_to_do() -> None:
    body = Scene("paced", 1, streamed=True, delay_ms=5, gap_ms=10, chunks=50).body()
    assert b"scene:d5,g10,n50" in body
    assert b'"stream":true' in body


def test_a_slow_disk_has_a_row_with_three_figures_for_each_load() -> None:
    scenes = {scene.name: _measured(rps=1234.5, p50=7.04, p99=28.26) for scene in (ONE, MANY, MOST)}
    heads, row = table.disks({"disk": {"rows": {disk.name(5): scenes}}})
    assert len(heads) == len(row) == 10
    assert row[:4] == ["+ 5 ms", "1,234", "7.0", "28.3"]
    assert table.disks({}) == [heads]
