"""An installation as its operator has it: a folder, the command line on it, and a server that runs on it."""

import io
import json
import os
import random
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from broker.cli import run
from tests.canary import KEYS
from tests.kept_folder import KeptFolder
from tests.serve.running import Running, serving_soon

DETAILS: dict[str, Any] = {
    "type": "ai_model_access",
    "provider": "openai",
    "models": ["gpt-4o-mini"],
    "actions": ["chat"],
    "budget": {"amount": "5.00", "currency": "USD"},
    "expires_in": 86_400,
}
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}

_ELSEWHERE = {"BROKER_DATABASE_URL", "BROKER_MASTER_KEY_FILE", "BROKER_DATA_DIR"}
_FURNISHED: dict[str, tuple[KeptFolder, str]] = {}
"""For each provider, with the client's id."""


@dataclass
class Granted:
    grant_id: str
    token: str


@dataclass
class Installation:
    folder: Path
    settings: dict[str, str]
    client_id: str = ""

    def __post_init__(self) -> None:
        # Tokens of the command line name the issuer, and with it the port of the server.
        self.settings.setdefault("BROKER_PORT", str(free_port()))

    def broker(self, *words: str, stdin: str = "", status: int = 0) -> str:
        """One command, run in this process: a new one would take a second."""
        told = io.StringIO()
        with _environment(self.folder, self.settings, stdin), redirect_stdout(told):
            assert run(words) == status
        return told.getvalue()

    @contextmanager
    def at(self) -> Iterator[None]:
        """Where a command stands, for tests that reach for what is in the folder."""
        with _environment(self.folder, self.settings, ""):
            yield

    def json(self, *words: str, stdin: str = "") -> Any:
        return json.loads(self.broker(*words, "--json", stdin=stdin))

    def furnish(self, provider: str = "openai") -> None:
        """A person, their key, and an app: copied, where all of it would be as it was the first time."""
        data = self.folder / "data"
        is_usual = not data.exists() and _ELSEWHERE.isdisjoint(self.settings)
        if is_usual and provider in _FURNISHED:
            kept, self.client_id = _FURNISHED[provider]
            kept.copy_to(data)
            return
        self._furnish(provider)
        if is_usual:
            _FURNISHED[provider] = KeptFolder.of(data), self.client_id

    def _furnish(self, provider: str) -> None:
        self.broker("user", "add", "ana@example.com", "--password-stdin", stdin="violet-kettle-orbit-47\n")
        self.add_key(provider)
        added = self.json("client", "add", "Acme Notes", "--public", "--redirect-uri", "http://127.0.0.1/callback")
        self.client_id = added["client_id"]

    def add_key(self, provider: str) -> None:
        words = ("--provider", provider, "--user", "ana@example.com", "--no-check")
        self.broker("key", "add", *words, stdin=KEYS[provider] + "\n")

    def grant(self, **more: Any) -> Granted:
        words = ("grant", "add", "--user", "ana@example.com", "--client", self.client_id, "--details", "-", "--token")
        added = self.json(*words, stdin=json.dumps([DETAILS | more]))
        return Granted(added["grant_id"], added["access_token"])

    def show(self, grant_id: str) -> Any:
        return self.json("grant", "show", grant_id)

    def budget(self, grant_id: str) -> dict[str, Any]:
        """Once nothing is held any more: an answer goes out before its settlement is on the disk."""
        until = time.monotonic() + 10
        while True:
            (access,) = self.show(grant_id)["access"]
            if access["budget"]["held"] == 0:
                return dict(access["budget"])
            assert time.monotonic() < until, "something is still held"
            time.sleep(0.05)

    def settled(self, grant_id: str) -> int:
        """In micro-dollars, once nothing is held any more."""
        return int(self.budget(grant_id)["settled"])

    @contextmanager
    def serving(self) -> Iterator[Running]:
        with serving_soon(self.folder, **self.settings) as server:
            yield server


@contextmanager
def _environment(folder: Path, settings: dict[str, str], stdin: str) -> Iterator[None]:
    before, cwd, read = dict(os.environ), Path.cwd(), sys.stdin
    os.environ.update(settings)
    os.chdir(folder)
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()))
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)
        os.environ.clear()
        os.environ.update(before)
        os.chdir(cwd)
        sys.stdin = read


_NUMBERS = count(random.randrange(1_000))


def free_port() -> int:
    """Below those that the system gives to whoever asks for any, and apart from those of other workers of this run.

    So nobody takes it until the server that it is for has started, or while it is started anew.
    """
    first = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12 * 1_000
    while True:
        port = first + next(_NUMBERS) % 1_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def dollars(micro: int) -> dict[str, str]:
    return {"amount": f"{micro // 1_000_000}.{micro % 1_000_000:06d}", "currency": "USD"}
