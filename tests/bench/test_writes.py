"""The arithmetic of what a call writes, and the table that it stands in."""

import pytest

from tests.bench import table, writes
from tests.bench.rounds import MANY, MOST, ONE

HALF = {"seconds": 2.0, "good": 300, "incomplete": 0, "unanswered": 0, "whole": {}, "first": {}}
ONE_BROKER = HALF | {"statuses": {"200": 300}}
OTHER_BROKER = HALF | {"good": 100, "statuses": {"200": 100, "503": 4}}


def test_what_was_counted_is_shared_by_the_good_calls_of_all_loads() -> None:
    taken = writes.of_a_call(
        [ONE_BROKER, OTHER_BROKER], {"wal": 5_000, "cpu_us": 0}, {"wal": 1_005_000, "cpu_us": 80_000}
    )
    assert taken == {"rps": 200, "failed": 4, "wal": 2_500, "cpu_us": 200}


def test_a_load_without_a_good_call_shares_nothing() -> None:
    nothing = HALF | {"good": 0, "statuses": {"503": 9}}
    assert writes.of_a_call([nothing], {"wal": 0}, {"wal": 700}) == {"rps": 0, "failed": 9, "wal": 0}


@pytest.mark.parametrize(("connections", "targets", "each"), [(256, 1, 256), (32, 2, 16), (1, 2, 1)])
def test_each_broker_has_its_part_of_the_connections(connections: int, targets: int, each: int) -> None:
    scene = {1: ONE, 32: MANY, 256: MOST}[connections]
    assert writes.part_of(scene, targets).connections == each


def test_the_median_is_of_each_figure_and_keeps_the_rounds() -> None:
    each = [{"rps": 10.0, "kept": 3.0}, {"rps": 30.0, "kept": 1.0}, {"rps": 20.0, "kept": 2.0}]
    assert writes.medians(each) == {"rps": 20, "kept": 2, "each": each}


def test_the_table_has_a_column_for_each_number_of_connections() -> None:
    sqlite = {ONE.name: {"kept": 730.4}, MANY.name: {"kept": 1_715.0}, MOST.name: {"kept": 712.6}}
    measured = {"sqlite": sqlite, "workers": {MOST.name: {"parent_us": 153.8}}}
    assert table.writes({"writes": measured}) == [
        ["a call", "c=1", "c=32", "c=256"],
        ["SQLite: bytes of the database, for good", "730", "1,715", "713"],
        ["2 workers: CPU µs in the parent", "–", "–", "154"],
    ]


def test_without_the_part_there_is_no_table() -> None:
    assert "Writes" not in table.render({})
