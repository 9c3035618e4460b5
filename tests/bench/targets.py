"""What must be reached, what is aimed at, and how each figure is made from what was measured."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from tests.bench.compare import FULL, NORMAL, POSTGRES, TWO
from tests.bench.figures import Figures, Result
from tests.bench.rounds import MANY, MOST, ONE, PACED_MANY, PACED_ONE, SLOW_MANY, SLOW_MOST, STREAMS


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    must: float
    aim: float | None
    better: Literal["more", "less"]
    of: Callable[[Figures, str], float | None]
    """The figure for one variant of Broker; None where it was not measured."""
    unit: str = ""
    judged: tuple[str, ...] = (FULL,)
    """The variants that must meet it; the others are shown for what it costs there."""

    def meets(self, value: float, wanted: float) -> bool:
        return value >= wanted if self.better == "more" else value <= wanted

    def all_meet(self, values: Iterable[float], wanted: float) -> bool:
        return all(self.meets(value, wanted) for value in values)


def _ratio(other: str, scene: str) -> Callable[[Figures, str], float | None]:
    return lambda figures, variant: figures.ratio(variant, other, scene)


def _added_less_a_sync(figures: Figures, variant: str) -> float | None:
    added, sync = figures.added(variant, ONE.name, "p50"), figures.fdatasync_ms("compare")
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
    Row("added p50 over direct, c=1",                         0.8,  0.30, "less", lambda f, v: f.added(v, ONE.name, "p50"), "ms", (NORMAL,)),
    Row("added p50 over direct, c=1, less one fdatasync",     0.8,  0.30, "less", _added_less_a_sync, "ms"),
    Row("CPU a call, c=32",                                   300,  120,  "less", lambda f, v: f.one(v, MANY.name, "cpu_us"), "µs"),
    Row("added time to first byte of a stream, c=1",          2,    1,    "less", lambda f, v: f.added(v, PACED_ONE.name, "first_p50"), "ms"),
    Row("added time to first byte of a stream, c=32",         8,    2,    "less", lambda f, v: f.added(v, PACED_MANY.name, "first_p50"), "ms"),
    Row("streams of 100 chunks a second ÷ LiteLLM, c=32",     100,  240,  "more", _ratio("LiteLLM", STREAMS.name)),
    Row("memory an open stream, at 1,000",                    40,   24,   "less", _part("streams", "kilobytes_a_stream", FULL), "kB"),
    Row("RPS with 1,000 grants ÷ with 1",                     0.85, 0.95, "more", _part("grants", "thousand_to_one")),
    Row("RPS with 100,000 grants, 1,000 at work ÷ with 1,000", 0.7, 0.9,  "more", _part("grants", "at_work_to_thousand")),
    Row("RPS with 100,000 grants, each token new ÷ with 1,000", 0.7, 0.9, "more", _part("grants", "new_to_thousand")),
    Row("start to first answered call",                       2,    1,    "less", _part("start", "first_answer_seconds"), "s"),
    Row("memory at rest, one worker",                         110,  80,   "less", _part("start", "resting_megabytes"), "MB"),
    Row("calls over a limit, 2 workers, of 1,400",         0,    0,    "less", lambda f, v: f.part("limits", "stores", v, "beyond"), "", (FULL, POSTGRES)),
    Row("RPS of 2 workers ÷ of 1, c=32",                      0.9,  None, "more", _two(MANY.name)),
    Row("RPS of 2 workers ÷ of 1, c=256",                     1.3,  None, "more", _two(MOST.name)),
    Row("RPS of 2 workers ÷ of 1, provider of 100 ms, c=32",  0.97, None, "more", _two(SLOW_MANY.name)),
    Row("RPS of 2 workers ÷ of 1, provider of 100 ms, c=256", 0.97, None, "more", _two(SLOW_MOST.name)),
)
# fmt: on

SHOWN = (FULL, NORMAL, POSTGRES)

Verdict = Literal["yes", "aim missed", "MUST MISSED", "not measured"]
_MOST_ROUNDS = 100


def verdict(row: Row, result: Result) -> Verdict:
    figures = Figures(result)
    values = [value for variant in row.judged if (value := row.of(figures, variant)) is not None]
    if not values:
        return "not measured"
    if not row.all_meet(values, row.must):
        return "MUST MISSED"
    return "yes" if row.aim is None or row.all_meet(values, row.aim) else "aim missed"


def missed(result: Result, what: Verdict = "MUST MISSED") -> list[str]:
    """The names of the targets that were measured and not met."""
    return [row.name for row in ROWS if verdict(row, result) == what]


def spread(row: Row, result: Result, variant: str) -> tuple[float, float] | None:
    """The least and the most of what each round gives by itself; None where there were not several."""
    each = [row.of(Figures(result, number), variant) for number in range(_MOST_ROUNDS)]
    values = [value for value in each if value is not None]
    return (min(values), max(values)) if len(values) > 1 else None
