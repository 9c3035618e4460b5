"""The parent of a single worker leaves behind what it has imported, and is the same process with the same children."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.serve.running import eventually, serving

HEAVY = (
    "sqlalchemy",
    "pydantic",
    "hypercorn",
    "starlette",
    "httptools",
    "cryptography",
    "typer",
    "uvloop",
    "broker.settings",
)
IN_PLACE = """
import socket, sys
from pathlib import Path
from broker.ops.folder import Lock
from broker.serve.keeper import Charge
from broker.serve.light import go_on
sys.executable = "/nowhere"
folder = Path(sys.argv[1])
lock = Lock.take(folder / "lock")
print("keeps", flush=True)
sys.exit(go_on(Charge(0, folder, "", 1.0), [], socket.create_server(("127.0.0.1", 0)), lock))
"""


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def holds(pid: int, path: Path) -> bool:
    descriptors = Path(f"/proc/{pid}/fd")
    return str(path) in {str(each.readlink()) for each in descriptors.iterdir() if each.is_symlink()}


def test_it_imports_nothing_that_only_a_worker_needs() -> None:
    code = f"import sys, broker.serve.light; print([name for name in {HEAVY!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert said.stdout == "[]\n"


def test_the_parent_of_one_worker_keeps_nothing_of_what_it_shares_with_it(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.answers()
        (worker,) = server.workers()
        assert "_pydantic_core" in maps(worker)
        assert "_pydantic_core" not in maps(server.process.pid)
        assert server.end() == 0


def test_the_parent_of_several_keeps_their_books(folder: Path) -> None:
    with serving(folder, BROKER_WORKERS="2") as server:
        assert "_pydantic_core" in maps(server.process.pid)
        assert server.end() == 0


def test_a_worker_that_takes_the_place_of_another_holds_no_lock_of_its_parent(folder: Path) -> None:
    with serving(folder) as server:
        (first,) = server.workers()
        os.kill(first, signal.SIGKILL)
        eventually(server.answers)
        (second,) = server.workers()
        assert second != first
        lock = server.data / "lock"
        assert holds(server.process.pid, lock)
        assert not holds(second, lock)
        assert server.end() == 0


def test_where_it_cannot_become_another_program_it_keeps_them_as_it_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IN_PLACE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "keeps\n"
        eventually(lambda: _catches(process.pid, signal.SIGTERM))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def _catches(pid: int, number: signal.Signals) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught >> (number - 1) & 1)
