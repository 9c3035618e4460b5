"""What a command says to the person before it, on standard error: standard output is for files and programs."""

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broker.cli.device_flow import Codes

BELOW = 4
"""Lines that follow the square and are to be seen with it."""


def note(line: str) -> None:
    """A terminal must not take what a server says for commands."""
    print("".join(mark for mark in line if mark.isprintable()), file=sys.stderr)


def show_codes(codes: "Codes") -> None:
    for line in _drawn(codes.page_with_code):
        print(line, file=sys.stderr)
    note(f"Open       {codes.page}")
    note(f"and enter  {codes.user_code}")
    note("Waiting for the answer. Ctrl-C ends it.")


def tell_granted(details: Sequence[dict[str, Any]]) -> None:
    for each in details:
        models = " ".join(map(str, each.get("models", ())))
        budget, end = each.get("budget"), each.get("expires_at")
        amount = f"up to ${budget.get('amount')} of " if isinstance(budget, dict) else ""
        until = f", until {time.strftime('%Y-%m-%d %H:%M', time.localtime(end))}" if isinstance(end, int) else ""
        note(f"Granted: {amount}{each.get('provider')} ({models}){until}")


def _drawn(address: str) -> Sequence[str]:
    """A square for a telephone, where there is a terminal that can show one."""
    encoding = (sys.stderr.encoding or "").lower().replace("-", "")
    if not sys.stderr.isatty() or encoding != "utf8" or os.environ.get("TERM", "dumb") == "dumb":
        return ()
    from broker.qr import drawing_of

    drawing = drawing_of(address)
    wide, high = os.get_terminal_size(sys.stderr.fileno())
    # A pseudo terminal that nobody has told its size says 0.
    fits = (wide >= drawing.width or not wide) and (high >= len(drawing.lines) + BELOW or not high)
    return drawing.lines if fits else ()
