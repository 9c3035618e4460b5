"""What must be reached, what is aimed at, and how each figure is made from what was measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.bench.compare import FULL, NORMAL, POSTGRES, TWO
from tests.bench.rounds import MANY, MOST, ONE, PACED_MANY, PACED_ONE, SLOW_MANY, SLOW_MOST, STREAMS

Result = Mapping[str, Any]
"""The parts of result.json by name."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    must: float
    aim: float | None
    better: Literal["more", "less"]
    of: Callable[["Figures", str], float | None]
    """The figure for one variant of Broker; None where it was not measured."""
    unit: str = ""
    judged: str = FULL

    def meets(self, value: float, wanted: float) -> bool:
        return value >= wanted if self.better == "more" else value <= wanted


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured, read by server and scene."""

    result: Result

    def one(self, server: str, scene: str, figure: str) -> float | None:
        found = self.result.get("compare", {}).get("servers", {}).get(server, {}).get(scene, {}).get(figure)
        return None if found is None else float(found)

    def ratio(self, server: str, other: str, scene: str) -> float | None:
        upper, lower = self.one(server, scene, "rps"), self.one(other, scene, "rps")
        return upper / lower if upper is not None and lower else None

    def added(self, server: str, scene: str, figure: str) -> float | None:
        """Milliseconds above those of the provider itself."""
        with_us, without = self.one(server, scene, figure), self.one("direct", scene, figure)
        return None if with_us is None or without is None else with_us - without

    def part(self, *names: str) -> float | None:
        found: Any = self.result
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return None if found is None else float(found)


def _ratio(other: str, scene: str) -> Callable[[Figures, str], float | None]:
    return lambda figures, variant: figures.ratio(variant, other, scene)


def _added_less_a_sync(figures: Figures, variant: str) -> float | None:
    added, sync = figures.added(variant, ONE.name, "p50"), figures.part("machine", "fdatasync_ms")
    return None if added is None or sync is None else added - sync


def _part(*names: str) -> Callable[[Figures, str], float | None]:
    return lambda figures, variant: figures.part(*names) if variant == FULL else None


def _two(scene: str) -> Callable[[Figures, str], float | None]:
    return lambda figures, variant: figures.ratio(variant + TWO, variant, scene)


# fmt: off
ROWS = (
    Row("RPS ÷ LiteLLM, c=32",                                40,   100,  "more", _ratio("LiteLLM", MANY.name)),
    Row("RPS ÷ LiteLLM, c=1",                                 12,   25,   "more", _ratio("LiteLLM", ONE.name)),
    Row("RPS ÷ Portkey, c=32",                                3,    7,    "more", _ratio("Portkey", MANY.name)),
    Row("RPS ÷ bare passthrough, c=32",                       0.60, 0.75, "more", _ratio("bare passthrough", MANY.name)),
    Row("RPS ÷ bare passthrough, c=256",                      0.65, 0.80, "more", _ratio("bare passthrough", MOST.name)),
    Row("RPS ÷ nginx auth_request, c=32",                     0.3,  1.0,  "more", _ratio("nginx auth_request", MANY.name)),
    Row("added p50 over direct, c=1",                         0.8,  0.30, "less", lambda f, v: f.added(v, ONE.name, "p50"), "ms", NORMAL),
    Row("the same, less one fdatasync",                       0.8,  0.30, "less", _added_less_a_sync, "ms"),
    Row("CPU a call, c=32",                                   300,  120,  "less", lambda f, v: f.one(v, MANY.name, "cpu_us"), "µs"),
    Row("added time to first byte of a stream, c=1",          2,    1,    "less", lambda f, v: f.added(v, PACED_ONE.name, "first_p50"), "ms"),
    Row("added time to first byte of a stream, c=32",         8,    2,    "less", lambda f, v: f.added(v, PACED_MANY.name, "first_p50"), "ms"),
    Row("streams of 100 chunks a second ÷ LiteLLM, c=32",     100,  240,  "more", _ratio("LiteLLM", STREAMS.name)),
    Row("memory an open stream, at 1,000",                    40,   24,   "less", _part("streams", "kilobytes_a_stream", "Broker"), "kB"),
    Row("RPS with 1,000 grants ÷ with 1",                     0.85, 0.95, "more", _part("grants", "thousand_to_one")),
    Row("RPS with 100,000 grants ÷ with 1,000",               0.7,  0.9,  "more", _part("grants", "most_to_thousand")),
    Row("start to first answered call",                       2,    1,    "less", _part("start", "first_answer_seconds"), "s"),
    Row("memory at rest, one worker",                         110,  80,   "less", _part("start", "resting_megabytes"), "MB"),
    Row("calls let through over any limit, of 1,400",         0,    0,    "less", _part("limits", "beyond")),
    Row("RPS of 2 workers ÷ of 1, c=32",                      0.9,  None, "more", _two(MANY.name)),
    Row("RPS of 2 workers ÷ of 1, c=256",                     1.3,  None, "more", _two(MOST.name)),
    Row("the same, provider of 100 ms, c=32",                 0.97, None, "more", _two(SLOW_MANY.name)),
    Row("the same, provider of 100 ms, c=256",                0.97, None, "more", _two(SLOW_MOST.name)),
)
# fmt: on

SHOWN = (FULL, NORMAL, POSTGRES)


def missed(result: Result) -> list[str]:
    """The musts that were measured and not met."""
    figures = Figures(result)
    found = [(row, row.of(figures, row.judged)) for row in ROWS]
    return [row.name for row, value in found if value is not None and not row.meets(value, row.must)]
