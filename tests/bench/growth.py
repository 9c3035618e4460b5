"""What a call costs with few and many grants, and with an empty and a long ledger."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench import brokers, rounds
from tests.bench.brokers import Furnished
from tests.bench.loading import Measured, load
from tests.bench.programs import provider
from tests.bench.rounds import MANY, Length, Plan

MOST_GRANTS = 100_000
MOST_ROWS = 10_000_000
_A_BATCH = 500_000
_SPREAD_US = 90 * 86_400 * 1_000_000


def grants(length: Length, say: Callable[[str], object], most: int = MOST_GRANTS) -> dict[str, Any]:
    """One server for each number of grants; that with the most is shown twice, as a few of them are at work and as all are."""
    furnished = {}
    for number in (1, brokers.GRANTS, most):
        say(f"  making {number:,} grants")
        furnished[number] = brokers.furnish(brokers.home() / f"grants-{number}", number)
    with provider() as port, ExitStack() as stack:
        targets = {
            _grants(number): stack.enter_context(brokers.serve(place.folder, port))
            for number, place in furnished.items()
        }
        of_most = targets.pop(_grants(most))
        targets[f"{_grants(most)}, {brokers.GRANTS:,} at work"] = replace(of_most, tokens=_some(furnished[most].tokens))
        targets[f"{_grants(most)}, each token new"] = of_most
        taken = rounds.measure(targets, [Plan(MANY, targets.keys())], length, say)
    rows = {name: scenes[MANY.name] for name, scenes in taken.items()}
    each = zip(*rows.values(), strict=True)
    return {
        "rows": {name: rounds.as_json(row) for name, row in rows.items()},
        **_ratios(*(rounds.median(row) for row in rows.values())),
        "each": [_ratios(*of_round) for of_round in each],
    }


def _some(tokens: Path) -> Path:
    """As many as the other servers have, from all over."""
    lines = tokens.read_text().splitlines()
    chosen = tokens.with_name("tokens-at-work")
    chosen.write_text("\n".join(lines[:: max(1, len(lines) // brokers.GRANTS)][: brokers.GRANTS]) + "\n")
    return chosen


def _ratios(one: Measured, thousand: Measured, at_work: Measured, new: Measured) -> dict[str, float | None]:
    return {
        "thousand_to_one": thousand.rps / one.rps if one.rps else None,
        "at_work_to_thousand": at_work.rps / thousand.rps if thousand.rps else None,
        "new_to_thousand": new.rps / thousand.rps if thousand.rps else None,
    }


def _grants(number: int) -> str:
    return f"{number:,} grant{'s' if number > 1 else ''}"


def ledger(length: Length, say: Callable[[str], object], most: int = MOST_ROWS) -> dict[str, Any]:
    """The same folder before and after its ledger was filled with copies of one settled call."""
    empty = brokers.furnish(brokers.home() / "ledger-empty")
    grown = Furnished(empty.copy("ledger-full"))
    with provider() as port:
        with brokers.serve(grown.folder, port) as target:
            load(target, MANY, 1, count=brokers.GRANTS)
        fill(grown, most, say)
        with ExitStack() as stack:
            targets = {
                _rows(0): stack.enter_context(brokers.serve(empty.folder, port)),
                _rows(most): stack.enter_context(brokers.serve(grown.folder, port)),
            }
            taken = rounds.measure(targets, [Plan(MANY, targets.keys())], length, say)
    return {
        "rows": {name: rounds.as_json(scenes[MANY.name]) for name, scenes in taken.items()},
        "bytes_a_row": grown.database.stat().st_size / most,
    }


def _rows(number: int) -> str:
    return f"{number:,} ledger rows"


def fill(place: Furnished, most: int, say: Callable[[str], object]) -> None:
    """Copies of the calls that are there, an id each, spread evenly over the last 90 days."""
    connection = sqlite3.connect(place.database)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(reservation)")]
    connection.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-2000000;")
    (there,) = connection.execute("SELECT count(*) FROM reservation").fetchone()
    changed = {
        "id": "'res_bench' || (:made + n)",
        "admitted_at": f"old.admitted_at - (:made + n) * {_SPREAD_US // most}",
        "ended_at": f"old.ended_at - (:made + n) * {_SPREAD_US // most}",
    }
    values = ", ".join(changed.get(name, f'old."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    counting = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < :batch)"
    source = "(SELECT *, row_number() OVER () - 1 AS place FROM reservation WHERE id NOT LIKE 'res_bench%') AS old"
    for made in range(0, most, _A_BATCH):
        batch = min(_A_BATCH, most - made)
        with connection:
            connection.execute(
                f"{counting} INSERT INTO reservation ({names}) SELECT {values} FROM many JOIN {source} ON place = n % :there",
                {"made": made, "batch": batch, "there": there},
            )
        say(f"  {made + batch:,} rows")
    connection.close()
