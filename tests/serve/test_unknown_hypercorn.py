"""A release of hypercorn that nobody here has read: its own reader serves, and the app is asked in HTTP/1 only."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace

import httpx
import hypercorn.asyncio.run as accepting
import pytest
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from starlette.types import Receive, Scope, Send

from broker.core.errors import CannotStart
from broker.serve import http, stock
from broker.settings import Settings
from tests.serve.http1.served import GET, HOST, Served, echo, served
from tests.serve.running import environment

FALLS_BACK = "another hypercorn than the known one"
LEFT_ON = "HTTP/2 in clear text could not be switched off"
ASKS_TO_CHANGE = (
    b"GET /page HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
_CHECK = H11Protocol._check_protocol


@pytest.fixture(autouse=True)
def _another_release(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stock, "version", lambda name: "0.99.0")
    monkeypatch.setattr(H11Protocol, "_check_protocol", _CHECK)
    yield
    assert vars(accepting)["TCPServer"] is TCPServer


@pytest.fixture
def with_other_insides(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known of its reader is not there; that one goes on speaking HTTP/2 in clear text."""
    monkeypatch.setattr(stock, "h11", SimpleNamespace())


async def _ask_in_http2(server: Served) -> httpx.Response:
    async with httpx.AsyncClient(http1=False, http2=True, trust_env=False, timeout=20) as client:
        return await client.get(f"http://127.0.0.1:{server.port}/page")


def _noting(paths: list[str]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await echo(scope, receive, send)

    return app


@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_its_own_reader_serves_without_http2_and_the_log_says_so(
    parser: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    async with served(_noting(asked), parser) as server:
        line = await server.connect()
        assert (await line.ask(GET)).body == b"GET /page "
        assert (await line.ask(ASKS_TO_CHANGE)).body == b"GET /page "
        heard = await server.tell(PREFACE)
    assert heard.startswith(b"HTTP/1.1 505 ")
    assert asked == ["/page"] * 2
    told = capsys.readouterr().err
    assert told.count(FALLS_BACK) == 1
    assert LEFT_ON not in told


@pytest.mark.usefixtures("with_other_insides")
async def test_where_http2_cannot_be_switched_off_the_log_says_so_and_the_app_is_not_asked_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []
    async with served(_noting(asked), keep_alive_timeout=3) as server:
        line = await server.connect()
        assert (await line.ask(GET)).body == b"GET /page "
        refused = await _ask_in_http2(server)
        # It does change, as nobody has told it not to; what was asked is answered in HTTP/2 then, and by no app.
        line = await server.connect()
        assert (await line.ask(ASKS_TO_CHANGE)).status == 101
    assert (refused.http_version, refused.status_code) == ("HTTP/2", 505)
    assert refused.json() == {"error": "invalid_request", "error_description": "This server speaks HTTP/1.1."}
    assert asked == ["/page"]
    told = capsys.readouterr().err
    assert told.count(FALLS_BACK) == told.count(LEFT_ON) == 1


@pytest.mark.usefixtures("with_other_insides")
async def test_a_known_release_with_other_insides_is_held_to_http1_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "version", lambda name: "0.18.99")
    asked: list[str] = []
    async with served(_noting(asked), "h11", keep_alive_timeout=3) as server:
        assert (await _ask_in_http2(server)).status_code == 505
        assert (await (await server.connect()).ask(GET)).body == b"GET /page "
    assert asked == ["/page"]


class _Waits:
    def _check_protocol(self, event: object) -> None: ...


class _AsksMore:
    async def _check_protocol(self, event: object, more: object) -> None: ...


@pytest.mark.parametrize("protocol", [_Waits, _AsksMore])
def test_a_method_of_another_shape_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, protocol: type) -> None:
    before = vars(protocol)["_check_protocol"]
    monkeypatch.setattr(stock, "h11", SimpleNamespace(H11Protocol=protocol))
    assert not stock.switch_off_http2()
    assert vars(protocol)["_check_protocol"] is before


async def test_a_websocket_over_http2_is_closed() -> None:
    sent: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError(scope)

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        raise AssertionError

    await stock.Http1Only(app)({"type": "websocket", "http_version": "2"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize("lost", ["bind", "certfile", "keyfile"])
def test_one_that_would_listen_elsewhere_or_in_clear_text_does_not_serve(
    monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    config = http.listen_config(Settings(), 0)
    stock.check_config(config)
    monkeypatch.delattr(Config, lost)
    setattr(config, lost, "told")
    with pytest.raises(CannotStart, match="does not take an address or a certificate"):
        stock.check_config(config)


def test_one_that_lost_a_bound_serves_and_the_log_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = http.listen_config(Settings(), 0)
    monkeypatch.delattr(Config, "backlog")
    stock.check_config(config)
    assert "lost=['backlog']" in capsys.readouterr().err


ELSEWHERE = """
import asyncio, sys, importlib.metadata
import hypercorn.asyncio, hypercorn.protocol
importlib.metadata.version = lambda name: "0.99.0"
sys.modules["hypercorn.asyncio.worker_context"] = sys.modules["hypercorn.protocol.h11"] = None
del hypercorn.protocol.h11
from tests.serve.http1.served import GET, echo, served
async def main():
    async with served(echo) as server:
        print((await (await server.connect()).ask(GET)).body)
asyncio.run(main())
"""


def test_one_that_has_its_parts_elsewhere_serves_as_well() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], check=False, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.endswith("b'GET /page '\n"), ran.stderr
    assert FALLS_BACK in ran.stdout
    assert LEFT_ON in ran.stdout
