"""An address as a square that a telephone reads, so that nobody has to type it."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

_QUIET = 4
"""Empty modules on each side, which readers need (ISO/IEC 18004)."""
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_BLACK_ON_WHITE, _AS_BEFORE = "\x1b[38;5;16;48;5;231m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Square:
    """Drawn as SVG: the length of a side in modules, and the path that fills the dark ones."""

    side: int
    dark: str


def square_of(address: str) -> Square:
    rows = [bytes(row) for row in _rows(address)]
    return Square(len(rows), "".join(_runs(row, y) for y, row in enumerate(rows)))


@dataclass(frozen=True, slots=True)
class Drawing:
    """For a terminal: two rows of modules a line, black on white whatever its colours are."""

    width: int
    lines: tuple[str, ...]


def drawing_of(address: str) -> Drawing:
    rows = [list(row) for row in _rows(address)]
    width = len(rows[0])
    pairs = zip(rows[::2], [*rows[1::2], [0] * width], strict=False)
    lines = ("".join(_HALVES[bool(above), bool(below)] for above, below in zip(*pair, strict=True)) for pair in pairs)
    return Drawing(width, tuple(f"{_BLACK_ON_WHITE}{line}{_AS_BEFORE}" for line in lines))


def _rows(address: str) -> Iterable[Iterable[int]]:
    import segno  # with the first square that is drawn

    return segno.make(address, micro=False, error="m").matrix_iter(border=_QUIET)


def _runs(row: bytes, y: int) -> str:
    """One rectangle for each stretch of dark modules: single ones would show seams between them."""
    drawn, x = "", 0
    for is_dark, modules in groupby(row):
        width = len(list(modules))
        drawn += f"M{x} {y}h{width}v1h-{width}z" if is_dark else ""
        x += width
    return drawn
