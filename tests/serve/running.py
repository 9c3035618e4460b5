"""A real `broker serve`, started in a folder of its own and ended with the test."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import httpx

from tests.serve import warm

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 60.0
PARSER = os.environ.get("BROKER_HTTP_PARSER", "httptools")
"""The one setting that a run of the tests hands on to the servers it starts: `make test-stock` sets it."""

T = TypeVar("T")


class Process(Protocol):
    """What a test needs of one that it has started."""

    @property
    def pid(self) -> int: ...
    @property
    def stdout(self) -> IO[Any] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Running:
    folder: Path
    process: Process
    said: list[str]

    @property
    def address(self) -> str:
        return self.said[-1].removeprefix("Broker ")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.address + path, trust_env=False, timeout=60)

    def answers(self) -> bool:
        try:
            return self.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def workers(self) -> list[int]:
        """The children of the parent, read from the kernel."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in found]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def eventually(question: Callable[[], T | None], *, within: float = PATIENCE) -> T:
    """The first true answer."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if answer := question():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {within} seconds")


def is_alive(pid: int) -> bool:
    """A zombie that nobody has waited for yet does nothing more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def environment(**settings: str) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "COV"))}
    return {**bare, "BROKER_HTTP_PARSER": PARSER, "PYTHONPATH": str(CHECKOUT), "BROKER_PORT": "0", **settings}


def launch(folder: Path, *words: str, **settings: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "broker", *words]
    with (folder / "stderr.log").open("a") as log:
        return subprocess.Popen(
            command, cwd=folder, env=environment(**settings), stdout=subprocess.PIPE, stderr=log, text=True
        )


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Running]:
    """Started as its operator starts it."""
    with _kept(launch(folder, "serve", **settings), folder) as server:
        yield server


@contextmanager
def serving_soon(folder: Path, **settings: str) -> Iterator[Running]:
    """The same server, for tests of anything but how it starts."""
    with _kept(warm.launch(folder, ["serve"], environment(**settings)), folder) as server:
        yield server


@contextmanager
def _kept(process: Process, folder: Path) -> Iterator[Running]:
    try:
        yield Running(folder, process, _heard(process, folder))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        # A server refuses to start beside workers of one that was killed, and on a busy machine these take their time.
        eventually(lambda: not _left_behind(folder))
        if process.stdout is not None:
            process.stdout.close()


def _left_behind(folder: Path) -> list[str]:
    """The processes of a server of this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if (process / "cwd").readlink() == folder and {b"broker", b"broker.serve.worker"} & set(words):
                found.append(process.name)
    return found


def _heard(process: Process, folder: Path) -> list[str]:
    """What it prints until it is ready."""
    said: list[str] = []
    for line in process.stdout or ():
        said.append(line.strip())
        if re.match(r"Broker https?://", line):
            return said
    raise AssertionError(f"it ended: {(folder / 'stderr.log').read_text()}")
