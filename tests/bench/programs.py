"""What the benchmark starts: programs of its own, compiled on first use, and any other server on this computer."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.serve.running import Process

CHECKOUT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent
BUILT = CHECKOUT / "build" / "bench"

_PROGRAMS = {
    "provider": ("provider.c",),
    "load": ("load.c", "load_answer.c", "load_tally.c"),
    "slow_disk.so": ("slow_disk.c",),
}
_SHARED = ("-shared", "-fPIC")
"""Of what is no program of its own, but loaded into one."""
PATIENCE = 90.0


class DidNotStart(Exception):
    """A server that was to be measured is not there."""


def program(name: str) -> Path:
    """The compiled program; compiled anew when a source is newer. Needs a C compiler."""
    BUILT.mkdir(parents=True, exist_ok=True)
    sources, made = [SOURCES / source for source in _PROGRAMS[name]], BUILT / name
    newest = max(path.stat().st_mtime for path in (*sources, SOURCES / "load.h"))
    if not made.exists() or made.stat().st_mtime < newest:
        kind = _SHARED if made.suffix == ".so" else ()
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", *kind, "-o", made, *sources, "-ldl"], check=True)
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def provider() -> Iterator[int]:
    """The port of a fast fake provider."""
    with subprocess.Popen([program("provider")], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def started(
    command: Sequence[str | Path], folder: Path, port: int, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, once its port is open; it is ended with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _await_port(process, port, folder)
        yield process
    finally:
        end(process)


def end(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    process.kill()
    process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise DidNotStart(f"see {folder / 'output.log'}")


def bare_environment(**more: str) -> dict[str, str]:
    """Without settings of Broker, keys of providers or anything else that a server might read."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | more
