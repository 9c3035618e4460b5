"""What the processes of a server have used, read from the kernel."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """A process and all that it started."""
    found = [root]
    for pid in found:
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def trees(roots: Iterable[int]) -> list[int]:
    return [pid for root in roots for pid in tree(root)]


def cpu_seconds(roots: Iterable[int]) -> float:
    """In user and kernel mode together, of all processes below these that live."""
    return cpu_of(trees(roots))


def cpu_of(pids: Iterable[int]) -> float:
    """The same of these processes alone."""
    used = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
    return used / _TICKS


def memory(roots: Iterable[int]) -> int:
    """Proportional set size in bytes: what processes share is counted once."""
    size = 0
    for pid in trees(roots):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    size += int(line.split()[1]) * 1024
    return size


def written(roots: Iterable[int]) -> int:
    """Bytes that all processes below these sent to the disk; what is kept in memory only counts for nothing."""
    size = 0
    for pid in trees(roots):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/io").read_text().splitlines():
                if line.startswith("write_bytes:"):
                    size += int(line.split()[1])
    return size
