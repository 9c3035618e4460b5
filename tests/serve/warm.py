"""One process has imported what a server needs, and is forked for each that a test starts: to import took most of a start.

What is forked is then the command `broker` itself, in its folder, with its environment and with the descriptors it would have had.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Never

_MOST = 1_000_000
_NEEDED = ("broker.serve.parent", "broker.prices.snapshot", "genai_prices.data", "broker.store.migrate")


class Forked:
    """One that was forked, as Popen would show it."""

    def __init__(self, pid: int, stdout: IO[str], ending: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self._ending = ending
        self._status: int | None = None

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self._status is None and select.select([self._ending], [], [], timeout)[0]:
            self._status = int(self._ending.readline())
            self._ending.close()
        return self._status


def launch(folder: Path, words: Sequence[str], environ: dict[str, str]) -> Forked:
    """What it says as an error goes to a file in the folder."""
    told = json.dumps([str(folder), list(words), environ]).encode()
    hearing, out = os.pipe()
    learning, ending = os.pipe()
    with (folder / "stderr.log").open("a") as log:
        socket.send_fds(_parent(environ["PYTHONPATH"]), [told], [out, log.fileno(), ending])
    os.close(out)
    os.close(ending)
    learnt = os.fdopen(learning, "rb", buffering=0)
    pid = learnt.readline()
    assert pid, "the process that servers are forked from has ended: it says why on standard error"
    return Forked(int(pid), os.fdopen(hearing, encoding="utf-8"), learnt)


@cache
def _parent(checkout: str) -> socket.socket:
    """The line to it; it ends when its line does."""
    line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # By its last word, those that are forked of it are known as servers.
    command = [sys.executable, "-m", __name__, str(theirs.fileno()), "broker"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "COV"))}
    with theirs:
        subprocess.Popen(
            command,
            cwd=checkout,
            env=environ | {"PYTHONPATH": checkout},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        ).returncode = 0  # nobody waits for it
    atexit.register(line.close)
    return line


def main() -> None:
    for name in _NEEDED:
        import_module(name)
    line = socket.socket(fileno=int(sys.argv[1]))
    while True:
        told, descriptors, _, _ = socket.recv_fds(line, _MOST, 3)
        if not told:
            return
        if not os.fork():
            line.close()
            _keep(json.loads(told), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _bury()


def _keep(told: tuple[str, list[str], dict[str, str]], out: int, log: int, ending: int) -> Never:
    """Starts it, waits for its end, and tells of it."""
    pid = os.fork()
    if not pid:
        os.close(ending)
        _become(*told, out, log)
    # Ctrl-C is for the server, which ends with a status to be told.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.close(out)
    os.close(log)
    os.write(ending, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(ending, b"%d\n" % os.waitstatus_to_exitcode(status))
    # To put away what was imported takes as long as it took to import it.
    os._exit(0)


def _become(folder: str, words: list[str], environ: dict[str, str], out: int, log: int) -> None:
    """The command, which ends this process."""
    from broker.cli import main as broker

    for descriptor, number in ((out, 1), (log, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[0] = folder
    sys.argv = ["broker", *words]
    broker()


def _bury() -> None:
    """Those that have told of an end."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return


if __name__ == "__main__":
    main()
