"""Broker as an operator runs it, `broker serve` in a folder of its own, with grants that were made beforehand."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.loading import PATH, Target
from tests.bench.programs import BUILT, CHECKOUT, bare_environment, end, free_port
from tests.serve.installation import Installation
from tests.serve.running import serving

ISSUER = "http://127.0.0.1:8080"
"""Tokens name it; the port that is really listened on is another each time."""
GRANTS = 1_000


@dataclass(frozen=True, slots=True)
class Furnished:
    """A folder with a person, their key, an app and grants, of which every server gets a copy."""

    folder: Path

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens"

    @property
    def database(self) -> Path:
        return self.folder / "data" / "broker.db"

    def copy(self, name: str) -> Path:
        to = self.folder.parent / name
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to)
        return to


def furnish(folder: Path, grants: int = GRANTS, settings: Mapping[str, str] = {}) -> Furnished:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    chosen = {**settings, "BROKER_ISSUER": ISSUER}
    place = Installation(folder, dict(chosen))
    place.furnish()
    made = Furnished(folder)
    subprocess.run(
        [sys.executable, "-m", "tests.bench.grants", str(grants), made.tokens],
        cwd=folder,
        env=bare_environment(PYTHONPATH=str(CHECKOUT), **chosen),
        check=True,
    )
    return made


@contextmanager
def serve(folder: Path, provider: int, **settings: str) -> Iterator[Target]:
    """A server in this folder; settings as in the environment, such as BROKER_WORKERS."""
    port = free_port()
    chosen = settings | {"BROKER_ISSUER": ISSUER, "BROKER_PORT": str(port)}
    with serving(folder, **chosen, BROKER_PROVIDER_OPENAI_BASE_URL=f"http://127.0.0.1:{provider}") as running:
        try:
            yield Target(port, (running.process.pid,), f"/proxy/openai{PATH}", tokens=folder / "tokens")
        finally:
            end(running.process)


def home() -> Path:
    """Where everything of this run is kept; emptied by the next one."""
    return BUILT / "run"
