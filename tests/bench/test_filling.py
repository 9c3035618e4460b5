"""The long ledger that a call is measured on has as many rows as its table says."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from broker.store import migrate
from tests.bench import growth
from tests.bench.brokers import Furnished
from tests.growth.seed import Size, seed
from tests.turned_clock import NOON


def test_a_ledger_is_filled_in_several_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_A_BATCH", 4)
    place = Furnished(tmp_path)
    place.database.parent.mkdir()
    migrate.upgrade(place.database)
    seed(place.database, Size(2, 6, NOON))
    said: list[str] = []
    growth.fill(place, 10, said.append)
    assert said == ["  4 rows", "  8 rows", "  10 rows"]
    with closing(sqlite3.connect(place.database)) as connection:
        copies = "SELECT count(*), count(DISTINCT admitted_at) FROM reservation WHERE id LIKE 'res_bench%'"
        assert connection.execute(copies).fetchone() == (10, 10)
