"""What a call writes, and which processes work for it: on SQLite, in its parent and workers, and with two brokers on PostgreSQL."""

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg

from tests.bench import brokers, loading, postgres
from tests.bench.brokers import Furnished
from tests.bench.loading import Scene, Target, load
from tests.bench.processes import cpu_of, cpu_seconds, tree, written
from tests.bench.programs import provider
from tests.bench.rounds import MANY, MOST, ONE, Length
from tests.serve.installation import Installation
from tests.serve.running import eventually

Figures = dict[str, float]
Say = Callable[[str], object]
SCENES = (ONE, MANY, MOST)
_WARM_UP = Scene("warm up", 16)
_BOOKED_SECONDS = 0.1
"""The settlement follows the answer."""
_MOVED_SECONDS = 1.5
"""Until the broker, which looks every second, has moved its log into the database."""
_ENTRIES = "SELECT count(*) AS count FROM usage_entry"
"""Of calls that are not yet in the sums of their quarter-hour: brokers add them up every five seconds."""
# A transaction is counted in pg_stat_database up to ten seconds after it, beside the reads of brokers that nobody calls.
# Each one that writes, as those of calls do, takes a number at once: that is counted here.
_COUNTERS = "SELECT pg_current_wal_lsn() - '0/0' AS wal, pg_snapshot_xmax(pg_current_snapshot())::text AS transactions"


def run(length: Length, say: Say) -> dict[str, Any]:
    """With PostgreSQL only where a server of our own can be started."""
    with provider() as port:
        taken = {"sqlite": _on_sqlite(port, length, say), "workers": _of_two_workers(port, length, say)}
        if postgres.is_ours():
            taken["brokers"] = _of_two_brokers(port, length, say)
    return {**taken, "rounds": length.rounds, "seconds": length.seconds}


@dataclass(frozen=True, slots=True)
class Counting:
    """What is read before and after each load."""

    used: Callable[[], Figures] = dict
    """As soon as the load has ended: processor time goes on while nobody calls."""
    left: Callable[[], Figures] = dict
    """Once all that follows a call is done, for which it waits: else the next load would pay for it."""


def _on_sqlite(port: int, length: Length, say: Say) -> dict[str, Any]:
    """One worker, calls of one grant: how the file has grown, and what went to the disk for it."""
    place = brokers.furnish(brokers.home() / "writes", 1)
    with brokers.serve(place.folder, port, BROKER_SQLITE_SYNCHRONOUS="full") as target:

        def left() -> Figures:
            eventually(lambda: not _entries_on_sqlite(place.database))
            time.sleep(_MOVED_SECONDS)
            return {"kept": place.database.stat().st_size, "written": written(target.roots)}

        return _measure("SQLite", [target], SCENES, Counting(left=left), length, say)


def _entries_on_sqlite(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(_ENTRIES).fetchone()[0])


def _of_two_workers(port: int, length: Length, say: Say) -> dict[str, Any]:
    """On SQLite with 1,000 grants: the processor time of the parent, which writes, and of the workers."""
    folder = brokers.furnish(brokers.home() / "writes-workers").folder
    with brokers.serve(folder, port, BROKER_SQLITE_SYNCHRONOUS="full", BROKER_WORKERS="2") as target:
        parent, *workers = tree(target.roots[0])

        def used() -> Figures:
            return {"parent_us": cpu_of([parent]) * 1e6, "workers_us": cpu_of(workers) * 1e6}

        return _measure("two workers", [target], [MOST], Counting(used=used), length, say)


def _of_two_brokers(port: int, length: Length, say: Say) -> dict[str, Any]:
    """On one PostgreSQL, each with half of the connections, and all calls of one grant, so of the same counters."""
    with ExitStack() as stack:
        url, roots = stack.enter_context(postgres.database(brokers.home() / "writes-postgres"))
        settings = {"BROKER_DATABASE_URL": url}
        place = brokers.furnish(brokers.home() / "writes-on-postgres", 1, settings)
        _without_minutes(place, settings)
        folders = (place.folder, place.copy("writes-on-postgres-too"))
        targets = [stack.enter_context(brokers.serve(folder, port, **settings)) for folder in folders]

        def used() -> Figures:
            of_brokers = cpu_seconds(root for target in targets for root in target.roots)
            return {"brokers_us": of_brokers * 1e6, "postgres_us": cpu_seconds(roots) * 1e6}

        def left() -> Figures:
            eventually(lambda: not _asked(url, _ENTRIES)["count"])
            return _asked(url, _COUNTERS)

        return _measure("two brokers", targets, SCENES, Counting(used, left), length, say)


def _without_minutes(place: Furnished, settings: dict[str, str]) -> None:
    """One more grant in the place of the first: with limits a minute, its first half minute would cost what they have of calls."""
    here = Installation(place.folder, {"BROKER_ISSUER": brokers.ISSUER, **settings})
    here.client_id = here.json("client", "list")[0]["client_id"]
    place.tokens.write_text(here.grant(budget={"amount": "1000.00", "currency": "USD"}).token + "\n")


def _asked(url: str, question: str) -> Figures:
    """The one row that PostgreSQL answers."""

    async def ask() -> Figures:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return {name: float(value) for name, value in (await connection.fetchrow(question)).items()}
        finally:
            await connection.close()

    return asyncio.run(ask())


def _measure(
    name: str, targets: Sequence[Target], scenes: Sequence[Scene], counting: Counting, length: Length, say: Say
) -> dict[str, Any]:
    for target in targets:
        load(target, _WARM_UP, length.seconds / 4)
    each: dict[str, list[Figures]] = {scene.name: [] for scene in scenes}
    for number in range(length.rounds):
        for scene in scenes:
            taken = _of_one_load(targets, scene, counting, length.seconds)
            each[scene.name].append(taken)
            say(f"  {number + 1}  {name:<12} {scene.name:<6} " + "  ".join(f"{key} {taken[key]:,.2f}" for key in taken))
    return {scene: medians(rows) for scene, rows in each.items()}


def _of_one_load(targets: Sequence[Target], scene: Scene, counting: Counting, seconds: float) -> Figures:
    before = counting.left() | counting.used()
    told = _load(targets, scene, seconds)
    time.sleep(_BOOKED_SECONDS)
    used = counting.used()
    return of_a_call(told, before, counting.left() | used)


def _load(targets: Sequence[Target], scene: Scene, seconds: float) -> list[dict[str, Any]]:
    """At all of them at the same time."""
    running = [loading.start(target, part_of(scene, len(targets)), seconds) for target in targets]
    return [json.loads(process.communicate(timeout=seconds + 60)[0]) for process in running]


def part_of(scene: Scene, targets: int) -> Scene:
    """Of the connections, for each of so many servers; one at least."""
    return replace(scene, connections=max(1, scene.connections // targets))


def of_a_call(told: Sequence[Mapping[str, Any]], before: Figures, after: Figures) -> Figures:
    """Calls a second of all loads together, and what came to each good call of everything that was counted."""
    calls = sum(load["good"] for load in told)
    shares = {name: (after[name] - before[name]) / calls if calls else 0.0 for name in before}
    failed = sum(loading.read(dict(load), 0).failed for load in told)
    return {"rps": sum(loading.read(dict(load), 0).rps for load in told), "failed": failed, **shares}


def medians(each: Sequence[Figures]) -> dict[str, Any]:
    """Of each figure by itself, and beneath them what they are of."""
    return {name: statistics.median(row[name] for row in each) for name in each[0]} | {"each": list(each)}
