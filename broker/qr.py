"""An address as a square that a telephone reads, so that nobody has to type it."""

from dataclasses import dataclass
from itertools import groupby

import segno

_QUIET = 4
"""Empty modules on each side, which readers need (ISO/IEC 18004)."""


@dataclass(frozen=True, slots=True)
class Square:
    """Drawn as SVG: the length of a side in modules, and the path that fills the dark ones."""

    side: int
    dark: str


def square_of(address: str) -> Square:
    rows = [bytes(row) for row in segno.make(address, micro=False, error="m").matrix_iter(border=_QUIET)]
    return Square(len(rows), "".join(_runs(row, y) for y, row in enumerate(rows)))


def _runs(row: bytes, y: int) -> str:
    """One rectangle for each stretch of dark modules: single ones would show seams between them."""
    drawn, x = "", 0
    for is_dark, modules in groupby(row):
        width = len(list(modules))
        drawn += f"M{x} {y}h{width}v1h-{width}z" if is_dark else ""
        x += width
    return drawn
