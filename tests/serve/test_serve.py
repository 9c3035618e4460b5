"""Serving, as whoever runs it sees it: real processes, real signals."""

import os
import re
import signal
import socket
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.serve.running import Running, eventually, is_alive, launch, serving


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Shared by the tests that leave it as they found it; its first start migrates."""
    with serving(tmp_path_factory.mktemp("serve"), BROKER_WORKERS="2") as server:
        yield server


def test_it_prints_the_setup_code_and_then_its_address(running: Running) -> None:
    code, address = running.said
    assert re.fullmatch(r"SETUP CODE  [A-Z2-7]{4}(-[A-Z2-7]{4})+", code)
    assert re.fullmatch(r"Broker http://127\.0\.0\.1:[1-9][0-9]+", address)


def test_it_is_alive_and_ready(running: Running) -> None:
    assert running.get("/health/live").json() == {"status": "ok"}
    ready = running.get("/health/ready")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "checks": {"database": "ok", "vault": "ok"}},
    )


def test_no_server_software_is_named(running: Running) -> None:
    assert "server" not in running.get("/health/live").headers


def test_only_its_owner_may_read_what_it_writes(running: Running) -> None:
    assert stat.S_IMODE(running.data.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in running.data.iterdir()}
    assert {"broker.db", "master.key", "lock", "workers.lock"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_second_server_refuses_with_one_line(running: Running, tmp_path: Path) -> None:
    second = launch(tmp_path, "serve", BROKER_DATA_DIR=str(running.data))
    assert second.communicate()[0] == ""
    assert second.returncode == 1
    assert (tmp_path / "stderr.log").read_text() == f"A broker is already running in {running.data}.\n"


def test_commands_work_beside_it(running: Running, tmp_path: Path) -> None:
    command = launch(tmp_path, "client", "add", "Notes", "--public", "--json", BROKER_DATA_DIR=str(running.data))
    assert '"client_id": "cli_' in command.communicate()[0]
    assert command.returncode == 0


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        (
            b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        ),
    ],
    ids=["prior knowledge", "upgrade"],
)
def test_http2_is_not_spoken(running: Running, request_bytes: bytes) -> None:
    port = int(running.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request_bytes)
        answer = connection.recv(4096)
    assert b" 101 " not in answer.partition(b"\r\n")[0]
    assert not answer or answer.startswith(b"HTTP/1.1 ")


def test_workers_that_are_killed_are_replaced(running: Running) -> None:
    before = set(running.workers())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    # Until the next one listens, connections wait in the socket that the parent holds.
    assert eventually(running.answers)
    assert eventually(lambda: len(set(running.workers()) - before) == 2)


def test_a_killed_parent_takes_its_workers_with_it_and_the_next_server_waits_for_that(folder: Path) -> None:
    with serving(folder, BROKER_WORKERS="2") as first:
        workers = first.workers()
        first.process.kill()
        eventually(lambda: not any(is_alive(pid) for pid in workers), within=10.0)
    assert len(workers) == 2
    with serving(folder) as second:
        assert second.answers()
        (worker,) = second.workers()
        assert second.end(signal.SIGTERM) == 0
        assert not is_alive(worker)


def test_ctrl_c_ends_it_with_status_0_and_leaves_nothing_running(folder: Path) -> None:
    with serving(folder) as server:
        workers = server.workers()
        # As a terminal does: to the whole group, workers included.
        for pid in (*workers, server.process.pid):
            os.kill(pid, signal.SIGINT)
        assert server.process.wait(30) == 0
    assert not any(is_alive(pid) for pid in workers)


def test_a_server_that_finds_a_newer_schema_ends(folder: Path) -> None:
    with serving(folder) as server:
        with closing(sqlite3.connect(server.data / "broker.db")) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        assert server.process.wait(30) == 1
    assert "newer version of Broker" in (folder / "stderr.log").read_text()
