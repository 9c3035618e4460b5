"""The demo's servers as child processes, which end with the demo whatever ends it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

START_SECONDS = 120
STOP_SECONDS = 10


class DidNotStart(Exception):
    """A part of the demo is not up; the text says which, and what it said last."""


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def last_words(self) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])

    def stop(self) -> None:
        """Asks it to end; where that does not help, ends it and its own children, who share its session."""
        with self.process:  # closes the pipe, too
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)


class Servers:
    """All that was started; leaving the context stops it, the last started first."""

    def __init__(self) -> None:
        self._started: list[Server] = []
        self._stops = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._stops.close()

    def start(self, name: str, module: list[str], environment: Mapping[str, str], folder: Path, address: str) -> None:
        """Starts a module of this installation, and waits until the address answers."""
        server = _start(name, module, environment, folder)
        self._stops.callback(server.stop)
        self._started.append(server)
        _wait_until_up(server, address)

    def watch(self) -> None:
        """Returns only by an error: when one of the servers has ended by itself."""
        while True:
            for server in self._started:
                if server.has_ended():
                    raise DidNotStart(f"The {server.name} ended.\n{server.last_words()}")
            time.sleep(0.25)


@dataclass(frozen=True, slots=True)
class Port:
    """A port of 127.0.0.1 that nobody else takes until it is given up for the server it is meant for."""

    number: int
    _held: socket.socket

    def give_up(self) -> None:
        self._held.close()


def hold_port(wanted: int) -> Port:
    """The port wanted where it is free, else any free one."""
    for number in (wanted, 0):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", number))
            held.listen()  # a port that is only bound can be taken from us
        except OSError:
            held.close()
            continue
        return Port(held.getsockname()[1], held)
    raise DidNotStart("There is no free port on 127.0.0.1.")


def _start(name: str, module: list[str], environment: Mapping[str, str], folder: Path) -> Server:
    """The child ends when its standard input, which we hold, ends with us."""
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker.demo.leash", *module],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end our children in order
        )
    return Server(name, process, log)


def _wait_until_up(server: Server, address: str) -> None:
    """Waits for any answer below 500."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and not server.has_ended():
        try:
            if httpx.get(address, trust_env=False, timeout=5).status_code < 500:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise DidNotStart(f"The {server.name} did not start.\n{server.last_words()}")
