"""The ledger's own rows, as they stand in the file."""

import sqlite3
from dataclasses import dataclass

from tests.serve.running import Running, eventually

_COLUMNS = "provider, mark, outcome, status, cost, hold, input_tokens, cached_input_tokens, output_tokens, reached"


@dataclass(frozen=True, slots=True)
class Row:
    provider: str
    mark: str
    outcome: str
    status: int
    cost: int
    hold: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reached: int


def rows(server: Running) -> list[Row]:
    """Every call in the order it came, once none is held."""
    [found] = eventually(lambda: _at_rest(server))
    return found


def _at_rest(server: Running) -> list[list[Row]]:
    """One list, or none yet."""
    with sqlite3.connect(f"file:{server.data / 'broker.db'}?mode=ro", uri=True) as db:
        if db.execute("SELECT count(*) FROM reservation WHERE state = 'held'").fetchone()[0]:
            return []
        return [[Row(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM reservation ORDER BY admitted_at, rowid")]]
