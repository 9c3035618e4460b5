"""The tables that are printed: targets first, then each server."""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench.rounds import MANY, MOST, ONE, PACED_MANY, PACED_ONE, SLOW_MOST, STREAMS
from tests.bench.targets import ROWS, SHOWN, Figures, Result, Row

_SERVER_COLUMNS = (
    ("c=1", ONE.name, "rps", "{:,.0f}"),
    ("c=32", MANY.name, "rps", "{:,.0f}"),
    ("c=256", MOST.name, "rps", "{:,.0f}"),
    ("p50 ms", MANY.name, "p50", "{:.2f}"),
    ("p99 ms", MANY.name, "p99", "{:.1f}"),
    ("CPU µs", MANY.name, "cpu_us", "{:,.0f}"),
    ("streams/s", STREAMS.name, "rps", "{:,.1f}"),
    ("first byte c=1 ms", PACED_ONE.name, "first_p50", "{:.2f}"),
    ("first byte c=32 ms", PACED_MANY.name, "first_p50", "{:.2f}"),
    ("100 ms, c=256", SLOW_MOST.name, "rps", "{:,.0f}"),
)


def render(result: Result) -> str:
    tables = [("Targets", targets(result)), ("Servers", servers(result)), ("Costs", costs(result))]
    return "\n\n".join(f"{title}\n\n{_aligned(rows)}" for title, rows in tables if len(rows) > 1)


def targets(result: Result) -> list[list[str]]:
    figures = Figures(result)
    shown = [name for name in SHOWN if name in result.get("compare", {}).get("servers", {})] or list(SHOWN[:1])
    rows = [["target", "must", "aim", *(name.removeprefix("Broker, ") for name in shown), "met"]]
    for row in ROWS:
        measured = [_figure(row.of(figures, name), row.unit) for name in shown]
        limits = [_limit(row, row.must), _limit(row, row.aim)]
        rows.append([row.name, *limits, *measured, _met(row, row.of(figures, row.judged))])
    return rows


def servers(result: Result) -> list[list[str]]:
    rows = [["server", *(title for title, *_ in _SERVER_COLUMNS)]]
    for name, scenes in result.get("compare", {}).get("servers", {}).items():
        cells = [
            form.format(scenes[scene][figure]) if scene in scenes else "–" for _, scene, figure, form in _SERVER_COLUMNS
        ]
        rows.append([name, *cells])
    return rows


def costs(result: Result) -> list[list[str]]:
    rows = [["with", "RPS, c=32", "CPU a call, µs"]]
    for part in ("grants", "ledger"):
        for name, row in result.get(part, {}).get("rows", {}).items():
            rows.append([name, f"{row['rps']:,.0f}", f"{row['cpu_us']:,.0f}"])
    return rows


def _limit(row: Row, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{'≥' if row.better == 'more' else '≤'} {value:g} {row.unit}".rstrip()


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} {unit}".rstrip() if abs(value) >= 100 else f"{value:.2f} {unit}".rstrip()


def _met(row: Row, value: float | None) -> str:
    if value is None:
        return "not measured"
    if not row.meets(value, row.must):
        return "MISSED"
    return "must" if row.aim is not None and not row.meets(value, row.aim) else "yes"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """As Markdown, so that it can stand in a page as it is printed."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_lines(rows, widths))


def _lines(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    for number, row in enumerate(rows):
        first, *others = zip(row, widths, strict=True)
        cells = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|{'-' * (widths[0] + 2)}|{'|'.join('-' * (width + 1) + ':' for width in widths[1:])}|"


def measured_where(result: dict[str, Any]) -> str:
    machine = result["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    others = ", ".join(f"{name} {version}" for name, version in result.get("compare", {}).get("versions", {}).items())
    return (
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, {libraries}; {others or 'no peers'}; "
        f"fdatasync {machine['fdatasync_ms']} ms; load average before {machine['load_average']}"
    )
