"""The demo's servers start, and end with the demo, however it ends."""

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from broker.demo.processes import DidNotStart, Servers, hold_port

CHECKOUT = Path(__file__).parents[2]


def environment(port: int) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "SANDBOX_KEYS": "sk-a", "DEMO_PORT": str(port)}


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_server_is_up_inside_and_gone_outside(tmp_path: Path) -> None:
    port = hold_port(0)
    port.give_up()
    address = f"http://127.0.0.1:{port.number}/v1/models"
    with Servers() as servers:
        servers.start("sandbox", ["broker.demo.sandbox"], environment(port.number), tmp_path, address)
        answer = httpx.get(address, headers={"authorization": "Bearer sk-a"}, trust_env=False, timeout=60)
        assert answer.status_code == 200
    assert refuses(port.number)


def test_a_server_that_ends_at_once_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Servers() as servers, pytest.raises(DidNotStart, match=r"(?s)The sandbox did not start\..*No module named"):
        servers.start("sandbox", ["broker.demo.nowhere"], environment(1), tmp_path, "http://127.0.0.1:1/")


STARTER = """
import os, sys
from pathlib import Path
from broker.demo.processes import Servers
with Servers() as servers:
    port, folder = sys.argv[1:]
    env = {**os.environ, "DEMO_PORT": port}
    servers.start("sandbox", ["broker.demo.sandbox"], env, Path(folder), f"http://127.0.0.1:{port}/v1/models")
    print(servers._started[0].process.pid, flush=True)
    servers.watch()
"""


def test_a_server_ends_when_the_demo_is_killed(tmp_path: Path) -> None:
    port = hold_port(0)
    port.give_up()
    command = [sys.executable, "-c", STARTER, str(port.number), str(tmp_path)]
    with subprocess.Popen(command, env=environment(port.number), stdout=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        child = int(demo.stdout.readline())
        server = os.pidfd_open(child)
        demo.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([server], [], [], 10)
    os.close(server)
    assert ended, "the server outlived the demo"
    assert refuses(port.number)


def test_a_port_in_use_is_not_taken() -> None:
    taken = hold_port(0)
    other = hold_port(taken.number)
    assert other.number != taken.number
    other.give_up()
    taken.give_up()
