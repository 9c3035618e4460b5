"""Interleaved rounds: every server in turn, and again, so that a busy moment of the machine touches all of them alike."""

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from tests.bench.loading import Measured, Scene, Target, load

Results = dict[str, dict[str, list[Measured]]]
"""By server, then by scene: what each round measured."""

ONE, MANY, MOST = Scene("c=1", 1), Scene("c=32", 32), Scene("c=256", 256)
APART = Scene("apart c=32", 32, apart=True)
STREAMS = Scene("streams c=32", 32, streamed=True)
PACED_ONE = Scene("paced c=1", 1, streamed=True, gap_ms=10, chunks=50)
PACED_MANY = Scene("paced c=32", 32, streamed=True, gap_ms=10, chunks=50)
SLOW_MANY, SLOW_MOST = Scene("100 ms c=32", 32, delay_ms=100), Scene("100 ms c=256", 256, delay_ms=100)
_OF_EACH = ("rps", "p50", "first_p50", "cpu_us")
_WARM_UP = (Scene("warm up", 16), Scene("warm up", 4, streamed=True))


@dataclass(frozen=True, slots=True)
class Plan:
    """A scene, and the servers that are shown in it."""

    scene: Scene
    servers: Collection[str]


@dataclass(frozen=True, slots=True)
class Length:
    rounds: int
    seconds: float
    """Of each load."""


def measure(
    targets: Mapping[str, Target], plans: Sequence[Plan], length: Length, say: Callable[[str], object]
) -> Results:
    for target in targets.values():
        for scene in _WARM_UP:
            load(target, scene, length.seconds / 4)
    taken: Results = {}
    for number in range(length.rounds):
        for plan in plans:
            for name in (name for name in targets if name in plan.servers):
                measured = load(targets[name], plan.scene, length.seconds)
                taken.setdefault(name, {}).setdefault(plan.scene.name, []).append(measured)
                say(_line(number, name, plan.scene, measured))
    return taken


def as_json(rows: Sequence[Measured]) -> dict[str, Any]:
    """The medians, and beneath them what they are of."""
    return median(rows).as_json() | {"each": [{name: getattr(row, name) for name in _OF_EACH} for row in rows]}


def median(rows: Sequence[Measured]) -> Measured:
    """Of each figure by itself; what failed is added up."""
    figures = {
        field.name: statistics.median(getattr(row, field.name) for row in rows)
        for field in fields(Measured)
        if field.name not in ("failed", "statuses")
    }
    statuses: dict[str, int] = {}
    for row in rows:
        for status, number in row.statuses.items():
            statuses[status] = statuses.get(status, 0) + number
    return Measured(**figures, failed=sum(row.failed for row in rows), statuses=statuses)


def _line(number: int, name: str, scene: Scene, measured: Measured) -> str:
    failed = f"  {measured.failed} FAILED {measured.statuses}" if measured.failed else ""
    return (
        f"  {number + 1}  {name:<28} {scene.name:<13} {measured.rps:9,.0f}/s  p50 {measured.p50:8.2f} ms"
        f"  first {measured.first_p50:7.2f} ms  CPU {measured.cpu_us:7,.0f} µs  load {measured.load_average:.1f}{failed}"
    )
