"""`broker demo` as a person starts it: a process, and what it prints."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
SIGN_IN = re.compile(r"Sign in +email (\S+) +password (\S+)")


@dataclass(frozen=True, slots=True)
class Demo:
    process: asyncio.subprocess.Process
    folder: Path
    broker: str
    app: str
    email: str
    password: str

    def processes(self) -> list[int]:
        """Those that work in the demo's folder: its servers and their workers."""
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and self._works_here(path)]

    def _works_here(self, process: Path) -> bool:
        try:
            return (process / "cwd").readlink().is_relative_to(self.folder)
        except OSError:  # it has just ended, or is none of ours
            return False

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def start_demo(folder: Path) -> AsyncIterator[Demo]:
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(CHECKOUT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "broker", "demo", cwd=CHECKOUT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        said = await asyncio.wait_for(_read_until_ready(process), 120)
        (found,) = [match for line in said if (match := SIGN_IN.fullmatch(line))]
        broker = _address(said, "Broker ")
        yield Demo(process, folder, broker, _address(said, "Demo app "), found[1], found[2])
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def _read_until_ready(process: asyncio.subprocess.Process) -> list[str]:
    said: list[str] = []
    assert process.stdout is not None
    while not said or not said[-1].startswith("Sign in"):
        line = await process.stdout.readline()
        if not line:
            raise AssertionError(f"the demo ended: {said}")
        said.append(line.decode().rstrip())
    return said


def _address(said: list[str], beginning: str) -> str:
    (line,) = [line for line in said if line.startswith(beginning)]
    return line.removeprefix(beginning)
