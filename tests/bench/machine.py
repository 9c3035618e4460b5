"""The computer that the figures are of."""

import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

_LIBRARIES = ("hypercorn", "httpx", "httptools", "starlette", "uvloop", "sqlalchemy")
_TRIES = 200


def facts(folder: Path) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "fdatasync_ms": round(fdatasync_ms(folder), 3),
        "load_average": round(os.getloadavg()[0], 2),
    }


def fdatasync_ms(folder: Path) -> float:
    """Median of appending a page to a file here and waiting until the disk has it."""
    path, page, times = folder / "fdatasync", b"\0" * 4096, []
    with path.open("wb", buffering=0) as file:
        for _ in range(_TRIES):
            file.write(page)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    path.unlink()
    return statistics.median(times) * 1000


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
