"""`make bench`: measures, prints the tables, and writes build/bench/result.json."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.bench import brokers, compare, disk, growth, limits, rest, standing, table, writes
from tests.bench.machine import facts
from tests.bench.programs import BUILT
from tests.bench.rounds import Length
from tests.bench.targets import missed

RESULT = BUILT / "result.json"
WHOLE, QUICK = Length(rounds=3, seconds=2.0), Length(rounds=1, seconds=0.8)
QUICK_GRANTS, QUICK_ROWS = 5_000, 100_000


def parts(length: Length, *, quick: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    return {
        "compare": lambda: compare.run(length, say, quick=quick),
        "grants": lambda: growth.grants(length, say, QUICK_GRANTS if quick else growth.MOST_GRANTS),
        "ledger": lambda: growth.ledger(length, say, QUICK_ROWS if quick else growth.MOST_ROWS),
        "streams": lambda: standing.streams(say),
        "start": lambda: standing.start(say, 1 if quick else 5),
        "rest": lambda: rest.run(say),
        "disk": lambda: disk.run(length, say),
        "limits": lambda: limits.run(say),
        "writes": lambda: writes.run(length, say),
    }


USUAL = ("compare", "grants", "streams", "start", "rest", "disk", "limits", "writes")
"""Without the ledger of ten million rows, which takes minutes to fill."""
QUICKEST = ("compare", "start")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    chosen = _arguments()
    length = QUICK if chosen.quick else WHOLE
    length = Length(chosen.rounds or length.rounds, chosen.seconds or length.seconds)
    brokers.home().mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() and not chosen.anew else {}
    known = parts(length, quick=chosen.quick)
    for name in () if chosen.show else chosen.parts or (QUICKEST if chosen.quick else USUAL):
        say(f"{name}")
        begun, machine = time.monotonic(), facts(BUILT)
        result[name] = known[name]() | {"taken": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine}
        say(f"  {time.monotonic() - begun:.0f} s")
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    say(f"\n{table.measured_where(result)}\n\n{table.render(result)}")
    return 1 if chosen.check and missed(result) else 0


def _arguments() -> argparse.Namespace:
    reading = argparse.ArgumentParser(prog="make bench", description=__doc__)
    reading.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(parts(WHOLE, quick=True))}")
    reading.add_argument("--quick", action="store_true", help="one short round of the smallest parts")
    reading.add_argument("--rounds", type=int, default=0)
    reading.add_argument("--seconds", type=float, default=0.0, help="of each load")
    reading.add_argument("--anew", action="store_true", help="forget what was measured before")
    reading.add_argument("--show", action="store_true", help="measure nothing: print the tables of what was measured")
    reading.add_argument("--check", action="store_true", help="exit with 1 where a must is missed")
    chosen = reading.parse_args()
    if not set(chosen.parts) <= parts(WHOLE, quick=True).keys():
        reading.error(f"there is no such part: {' '.join(chosen.parts)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
