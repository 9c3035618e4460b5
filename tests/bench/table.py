"""The tables that are printed: targets first, then each server, as Markdown that can stand in a page as it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.compare import FULL
from tests.bench.figures import Figures, Result
from tests.bench.rounds import APART, MANY, MOST, ONE, PACED_MANY, PACED_ONE, SLOW_MANY, SLOW_MOST, STREAMS
from tests.bench.targets import ROWS, SHOWN, Row, missed, spread, verdict

Table = list[list[str]]


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    form: str
    of: Callable[[Figures, str], float | None]

    def cell(self, figures: Figures, server: str) -> str:
        value = self.of(figures, server)
        return "–" if value is None else self.form.format(value)


def _scene(name: str, figure: str) -> Callable[[Figures, str], float | None]:
    return lambda figures, server: figures.one(server, name, figure)


def _part(*names: str) -> Callable[[Figures, str], float | None]:
    return lambda figures, server: figures.part(*names, server)


_OF_SERVERS = (
    Column("c=1", "{:,.0f}", _scene(ONE.name, "rps")),
    Column("c=32", "{:,.0f}", _scene(MANY.name, "rps")),
    Column("c=256", "{:,.0f}", _scene(MOST.name, "rps")),
    Column("p50 ms", "{:.2f}", _scene(MANY.name, "p50")),
    Column("p99 ms", "{:.1f}", _scene(MANY.name, "p99")),
    Column("CPU µs", "{:,.0f}", _scene(MANY.name, "cpu_us")),
    Column("apart, c=32", "{:,.0f}", _scene(APART.name, "rps")),
    Column("streams/s", "{:,.1f}", _scene(STREAMS.name, "rps")),
    Column("first byte c=1 ms", "{:.2f}", _scene(PACED_ONE.name, "first_p50")),
    Column("first byte c=32 ms", "{:.2f}", _scene(PACED_MANY.name, "first_p50")),
    Column("100 ms, c=32", "{:,.0f}", _scene(SLOW_MANY.name, "rps")),
    Column("100 ms, c=256", "{:,.0f}", _scene(SLOW_MOST.name, "rps")),
    Column("MB at rest", "{:,.0f}", _part("rest", "megabytes")),
    Column("kB a stream", "{:.1f}", _part("streams", "kilobytes_a_stream")),
)

_NOISE = tuple(
    Row(
        f"calls a second, provider of 100 ms, {scene.name.rpartition(' ')[2]}",
        0,
        None,
        "more",
        _scene(scene.name, "rps"),
    )
    for scene in (SLOW_MANY, SLOW_MOST)
)
"""How far one server is from itself, where all do is wait."""

_OF_A_CALL = (
    ("SQLite: bytes of the database, for good", "sqlite", "kept", "{:,.0f}"),
    ("SQLite: bytes to the disk, the log and its moving included", "sqlite", "written", "{:,.0f}"),
    ("PostgreSQL: bytes of its log (WAL)", "brokers", "wal", "{:,.0f}"),
    ("PostgreSQL: transactions", "brokers", "transactions", "{:.2f}"),
    ("two brokers on PostgreSQL, one grant: calls a second", "brokers", "rps", "{:,.0f}"),
    ("two brokers: CPU µs in the brokers", "brokers", "brokers_us", "{:,.0f}"),
    ("two brokers: CPU µs in PostgreSQL", "brokers", "postgres_us", "{:,.0f}"),
    ("2 workers on SQLite, 1,000 grants: calls a second", "workers", "rps", "{:,.0f}"),
    ("2 workers: CPU µs in the parent", "workers", "parent_us", "{:,.0f}"),
    ("2 workers: CPU µs in both workers", "workers", "workers_us", "{:,.0f}"),
)


def render(result: Result) -> str:
    """Each table under its heading, and beneath the targets what is missed."""
    beneath = {"Targets": f"\n\n{summary(result)}"}
    tables = {
        "Parts": parts(result),
        "Targets": targets(result),
        "Rounds": rounds(result),
        "Servers": servers(result),
        "Costs": costs(result),
        "On a slow disk": disks(result),
        "Writes": writes(result),
    }
    shown = {title: rows for title, rows in tables.items() if len(rows) > 1}
    return "\n\n".join(f"### {title}\n\n{_aligned(rows)}{beneath.get(title, '')}" for title, rows in shown.items())


def summary(result: Result) -> str:
    names = {what: "; ".join(missed(result, what)) or "none" for what in ("MUST MISSED", "aim missed", "not measured")}
    return (
        f"Missed musts: {names['MUST MISSED']}. Missed aims, where the must is met: {names['aim missed']}. "
        f"Not measured: {names['not measured']}."
    )


def parts(result: Result) -> Table:
    """When each was measured, and what the machine was like then."""
    rows = [["part", "measured", "fdatasync ms", "load average before"]]
    for name, part in result.items():
        if "taken" not in part:
            continue
        machine = part.get("machine", {})
        rows.append([name, part["taken"], *(str(machine.get(fact, "–")) for fact in ("fdatasync_ms", "load_average"))])
    return rows


def targets(result: Result) -> Table:
    figures, shown = Figures(result), _shown(result)
    rows = [["target", "must", "aim", *map(_short, shown), "met"]]
    for row in ROWS:
        measured = [_figure(row.of(figures, name), row.unit) for name in shown]
        rows.append([_judged(row), _limit(row, row.must), _limit(row, row.aim), *measured, verdict(row, result)])
    return rows


def rounds(result: Result) -> Table:
    """The least and the most of the rounds: what lies between them is no difference."""
    shown = _shown(result)
    rows = [["the least and the most of the rounds", *map(_short, shown)]]
    for row in (*ROWS, *_NOISE):
        spreads = [spread(row, result, name) for name in shown]
        if any(spreads):
            rows.append([row.name, *(_between(found, row.unit) for found in spreads)])
    return rows


def servers(result: Result) -> Table:
    figures = Figures(result)
    named = result.get("compare", {}).get("servers", {})
    rows = [[name, *(column.cell(figures, name) for column in _OF_SERVERS)] for name in named]
    return [["server", *(column.title for column in _OF_SERVERS)], *rows]


def costs(result: Result) -> Table:
    rows = [["with", "RPS, c=32", "of the rounds", "CPU a call, µs"]]
    for part in ("grants", "ledger"):
        for name, row in result.get(part, {}).get("rows", {}).items():
            each = [of_round["rps"] for of_round in row.get("each", [])]
            between = f"{min(each):,.0f} to {max(each):,.0f}" if len(each) > 1 else "–"
            rows.append([name, f"{row['rps']:,.0f}", between, f"{row['cpu_us']:,.0f}"])
    return rows


def disks(result: Result) -> Table:
    """For each number of connections: calls a second, and the times of the middle one and of one in a hundred."""
    scenes = [scene.name for scene in (ONE, MANY, MOST)]
    rows = [
        ["a flush takes", *(f"{scene}: {figure}" for scene in scenes for figure in ("calls/s", "p50 ms", "p99 ms"))]
    ]
    for disk, measured in result.get("disk", {}).get("rows", {}).items():
        figures = [(measured[scene]["rps"], measured[scene]["p50"], measured[scene]["p99"]) for scene in scenes]
        rows.append(
            [disk, *(cell for rps, *times in figures for cell in (f"{rps:,.0f}", *map("{:.1f}".format, times)))]
        )
    return rows


def writes(result: Result) -> Table:
    """What a call leaves behind and whose processor time it takes, for each number of connections."""
    scenes = [scene.name for scene in (ONE, MANY, MOST)]
    figures = Figures(result)
    rows = [["a call", *scenes]]
    for title, part, figure, form in _OF_A_CALL:
        found = [figures.part("writes", part, scene, figure) for scene in scenes]
        if any(value is not None for value in found):
            rows.append([title, *("–" if value is None else form.format(value) for value in found)])
    return rows


def _shown(result: Result) -> list[str]:
    return [name for name in SHOWN if name in result.get("compare", {}).get("servers", {})] or [FULL]


def _short(variant: str) -> str:
    return variant.removeprefix("Broker, ")


def _judged(row: Row) -> str:
    return row.name if row.judged == (FULL,) else f"{row.name} (judged by {' and '.join(map(_short, row.judged))})"


def _limit(row: Row, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{'≥' if row.better == 'more' else '≤'} {value:g} {row.unit}".rstrip()


def _figure(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{_digits(value)} {unit}".rstrip()


def _between(found: tuple[float, float] | None, unit: str) -> str:
    return "–" if found is None else f"{_digits(found[0])} to {_digits(found[1])} {unit}".rstrip()


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_lines(rows, widths))


def _lines(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    for number, row in enumerate(rows):
        first, *others = zip(row, widths, strict=True)
        cells = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|{'-' * (widths[0] + 2)}|{'|'.join('-' * (width + 1) + ':' for width in widths[1:])}|"


def measured_where(result: Result) -> str:
    """Of the first part that says so: the others were measured on the same machine, at another time."""
    machine = next((part["machine"] for part in result.values() if "machine" in part), None)
    if machine is None:
        return "Nothing measured."
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    compared = result.get("compare", {})
    others = ", ".join(f"{name} {version}" for name, version in compared.get("versions", {}).items())
    length = f" Rounds of `compare`: {compared['rounds']} of {compared['seconds']:g} s a load." if compared else ""
    return (
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, {libraries}; {others or 'no peers'}."
        + length
    )
