"""The load and the provider, which are written in C: what one sends, the other counts."""

import errno
import json
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.bench import disk, loading
from tests.bench.loading import Scene, Target
from tests.bench.programs import bare_environment, provider

_DATA_SEGMENTS_IN = 152
"""Where `struct tcp_info` counts what came with bytes in it; the load sends at once what it writes."""

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with provider() as opened:
        yield opened


def _calls(port: int) -> int:
    asking = HTTPConnection("127.0.0.1", port)
    asking.request("GET", "/")
    told: dict[str, int] = json.loads(asking.getresponse().read())
    asking.close()
    return told["calls"]


def _post(port: int, body: bytes) -> tuple[int, bytes]:
    asking = HTTPConnection("127.0.0.1", port)
    asking.request("POST", "/v1/chat/completions", body)
    answered = asking.getresponse()
    told = answered.status, answered.read()
    asking.close()
    return told


def test_every_call_that_was_answered_has_reached_the_provider(port: int) -> None:
    before = _calls(port)
    measured = loading.load(Target(port), Scene("all", 20), 5, count=500)
    assert (measured.statuses, measured.failed) == ({"200": 500}, 0)
    assert _calls(port) - before == 500


def test_a_stream_comes_in_so_many_pieces_and_ends(port: int) -> None:
    status, body = _post(port, Scene("stream", 1, streamed=True, chunks=7, gap_ms=1).body())
    assert (status, body.count(b'" word"')) == (200, 7)
    assert body.endswith(b"data: [DONE]\n\n")
    assert b'"usage":{"prompt_tokens":20' in body


def test_a_paced_stream_takes_its_time_but_begins_at_once(port: int) -> None:
    paced = Scene("paced", 4, streamed=True, gap_ms=10, chunks=6)
    measured = loading.load(Target(port), paced, 5, count=8)
    assert measured.failed == 0
    # Five gaps by a clock of whole milliseconds: the first began in the middle of one, and the others at its strokes.
    assert measured.p50 >= 49
    assert measured.first_p50 < measured.p50


def test_an_answer_is_whole_json_with_its_usage(port: int) -> None:
    status, body = _post(port, Scene("whole", 1).body())
    assert (status, json.loads(body)["usage"]["total_tokens"]) == (200, 120)


def test_a_delay_is_kept(port: int) -> None:
    assert loading.load(Target(port), Scene("slow", 1, delay_ms=30), 5, count=2).p50 >= 29


def test_a_stream_that_breaks_off_is_not_counted_as_good(tmp_path: Path) -> None:
    """A server that promises more than it sends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = loading.start(Target(server.getsockname()[1]), Scene("broken", 1), 1, count=1)
        connection, _ = server.accept()
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}")
        connection.close()
        told = process.communicate(timeout=10)[0]
    assert loading.read(json.loads(told), 0).failed == 1


def test_tokens_are_used_in_turn(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("first\nsecond\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Target(server.getsockname()[1], tokens=tokens)
        process = loading.start(target, Scene("two", 1), 5, count=3)
        connection, _ = server.accept()
        asked = []
        for _ in range(3):
            asked.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        connection.close()
        process.communicate(timeout=10)
    words = [next(line for line in head.split(b"\r\n") if line.startswith(b"authorization")) for head in asked]
    assert [word.rpartition(b" ")[2] for word in words] == [b"first", b"second", b"first"]


def test_a_load_goes_on_with_the_token_after_the_last_one(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("first\nsecond\nthird\n")
    shown: list[str] = []

    class Noting(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            shown.append(self.headers["authorization"].removeprefix("Bearer "))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Noting) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for _ in range(2):
            loading.load(Target(server.server_port, tokens=tokens), Scene("two calls", 1), 5, count=2)
        server.shutdown()
    assert shown == ["first", "second", "third", "first"]


@pytest.mark.parametrize("apart", [False, True])
def test_head_and_body_are_written_at_once_or_apart(apart: bool) -> None:
    scene, calls = Scene("apart", 1, apart=apart), 5
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        process = loading.start(Target(server.getsockname()[1]), scene, 5, count=calls)
        connection, _ = server.accept()
        for _ in range(calls):
            received = b""
            while not received.endswith(b"\r\n\r\n" + scene.body()):
                received += connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        (segments,) = struct.unpack_from(
            "I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), _DATA_SEGMENTS_IN
        )
        connection.close()
        told = process.communicate(timeout=10)[0]
    # The kernel may put two writes together now and then.
    assert segments > calls if apart else segments == calls
    assert loading.read(json.loads(told), 0).statuses == {"200": calls}


_FLUSHES = """
import os, sys, time
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for flush in (os.fdatasync, os.fsync):
    begun = time.perf_counter()
    flush(file)
    print(time.perf_counter() - begun)
try:
    os.fdatasync(os.pipe()[0])
except OSError as error:
    print(error.errno)
"""


def _flushes(file: Path, **environ: str) -> list[float]:
    """The seconds of a fdatasync and of a fsync, and the error of one that fails."""
    command = [sys.executable, "-c", _FLUSHES, str(file)]
    told = subprocess.run(command, env=bare_environment(**environ), check=True, capture_output=True, text=True)
    return [float(line) for line in told.stdout.split()]


def test_every_flush_takes_so_much_longer_and_fails_as_before(tmp_path: Path) -> None:
    *slow, error = _flushes(tmp_path / "file", **disk.slow(300))
    assert min(slow) >= 0.3
    assert error == errno.EINVAL


def test_a_slow_disk_keeps_waiting_who_asks_and_nobody_else(tmp_path: Path) -> None:
    """SQLite's COMMIT by its own library, whose other threads go on."""
    script = """
import sqlite3, sys, threading, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a); BEGIN; INSERT INTO t VALUES (1)")
committing = threading.Thread(target=db.execute, args=("COMMIT",))
begun = time.perf_counter()
committing.start()
turns = 0
while committing.is_alive():
    time.sleep(0.001)
    turns += 1
print(time.perf_counter() - begun, turns)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "a.db")]
    told = subprocess.run(command, env=bare_environment(**disk.slow(300)), check=True, capture_output=True, text=True)
    seconds, turns = map(float, told.stdout.split())
    assert seconds >= 0.3
    assert turns > 3
