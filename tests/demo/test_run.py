"""`broker demo` starts everything, says where it is, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from broker.demo.processes import hold_port
from broker.demo.run import Plan

CHECKOUT = Path(__file__).parents[2]


@dataclass
class Demo:
    process: subprocess.Popen[str]
    folder: Path
    """Where temporary folders are made."""

    def read_until(self, beginning: str) -> list[str]:
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line.rstrip())
            if line.startswith(beginning):
                break
        return said

    def processes(self) -> list[Path]:
        """The processes that have the demo's folder as their working directory."""
        return [path for path in Path("/proc").iterdir() if path.name.isdigit() and self._works_here(path)]

    def _works_here(self, process: Path) -> bool:
        try:
            return (process / "cwd").readlink().is_relative_to(self.folder)
        except OSError:  # it has just ended, or is none of ours
            return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(CHECKOUT), "BROKER_PORT": "not a port"}
    command = [sys.executable, "-m", "broker", "demo"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield Demo(process, tmp_path)
        process.kill()


def test_it_says_where_all_is_and_ctrl_c_ends_it_all(demo: Demo) -> None:
    told = [line for line in demo.read_until("Sign in") if "http://" in line or "password" in line]
    broker, app, sign_in = told
    assert re.fullmatch(r"Broker http://127\.0\.0\.1:\d+", broker)
    assert re.fullmatch(r"Demo app http://127\.0\.0\.1:\d+", app)
    assert re.fullmatch(r"Sign in +email \S+@\S+ +password \S+", sign_in)

    issuer = broker.rpartition(" ")[2]
    sent = httpx.get(f"{app.rpartition(' ')[2]}/connect", trust_env=False, timeout=60)
    assert sent.headers["location"].startswith(f"{issuer}/oauth/authorize?")
    assert len(demo.processes()) >= 3

    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0
    assert demo.processes() == []
    assert list(demo.folder.iterdir()) == []


def test_sigterm_while_it_starts_leaves_nothing_either(demo: Demo) -> None:
    demo.read_until("Starting")
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(30) == 0
    assert demo.processes() == []
    assert list(demo.folder.iterdir()) == []


def test_settings_and_keys_of_a_real_broker_have_no_say_but_in_who_reads_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_WORKERS", "7")
    monkeypatch.setenv("BROKER_HTTP_PARSER", "h11")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    ports = [hold_port(0) for _ in range(3)]
    given = Plan(tmp_path, *ports).environment()
    assert given["BROKER_DATA_DIR"].startswith(str(tmp_path))
    assert given["BROKER_PORT"] == str(ports[0].number)
    assert given["BROKER_HTTP_PARSER"] == "h11"
    assert not {"BROKER_WORKERS", "OPENAI_API_KEY"} & set(given)
    for port in ports:
        port.give_up()
