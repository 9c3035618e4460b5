"""A connection that its provider has ended is not used again, even where the loop has not heard of its end yet."""

import asyncio
import select
import socket
import ssl
import threading
from pathlib import Path

import pytest

from broker.providers.client import Broken, Progress, Waits
from broker.providers.http1 import Connection
from broker.providers.pooled import PooledClient
from tests.providers.certificates import Authority
from tests.providers.wire import OK, client_of, connected, get

LAST_WORDS = {"silently": b"", "with a last word": b"HTTP/1.1 408 Too slow\r\ncontent-length: 0\r\n\r\n"}


class Provider:
    """Its every move is made by the test, so that the loop hears of nothing between two of them."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        listening.setblocking(False)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/"

    async def answer_one(self) -> socket.socket:
        """The other end of a new connection, by which one request was answered."""
        accepted, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        await self.answer_by(accepted)
        return accepted

    async def answer_by(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(accepted, 4096)
        await loop.sock_sendall(accepted, OK)

    def nobody_called(self) -> bool:
        try:
            self._listening.accept()
        except BlockingIOError:
            return True
        return False


def wait_for_news(client: PooledClient) -> None:
    """Until the kernel has some for the connection at rest; the loop stands still meanwhile."""
    [pool] = client._pools.values()
    [connection] = pool._idle
    wait_for_news_of(connection)


def wait_for_news_of(connection: Connection) -> None:
    news = select.poll()
    news.register(connection._transport.get_extra_info("socket").fileno(), select.POLLIN)
    assert news.poll(10_000)


@pytest.mark.parametrize("last", LAST_WORDS.values(), ids=LAST_WORDS)
async def test_the_next_request_of_the_same_turn_goes_out_on_another(waits: Waits, last: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider = Provider(listening)
        async with client_of(waits) as client:
            first = asyncio.create_task(provider.answer_one())
            assert await get(client, provider.url) == b"hi"
            second = asyncio.create_task(provider.answer_one())
            with await first as ended:
                ended.sendall(last)
            wait_for_news(client)
            answer = await client.send("POST", provider.url, [], b"x")  # no turn before it looks for a connection
            assert await answer.whole(9) == b"hi"
            (await second).close()


async def test_nothing_is_sent_at_once_where_the_only_one_has_ended(waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider = Provider(listening)
        async with client_of(waits) as client:
            first = asyncio.create_task(provider.answer_one())
            assert await get(client, provider.url) == b"hi"
            (await first).close()
            wait_for_news(client)
            assert client.send_at_once(client.start(provider.url, []), [], b"x") is None
            second = asyncio.create_task(provider.answer_one())
            answer = await client.send_on_another(client.start(provider.url, []), [], b"x")
            assert await answer.whole(9) == b"hi"
            (await second).close()


async def test_of_several_the_one_that_is_well_is_used(waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider = Provider(listening)
        async with client_of(waits) as client:
            two = asyncio.create_task(_both(provider))
            assert {*await asyncio.gather(get(client, provider.url), get(client, provider.url))} == {b"hi"}
            first, second = await two
            second.close()  # its other end came to rest last, so that it would be used first
            [pool] = client._pools.values()
            wait_for_news_of(pool._idle[-1])
            answer = client.send_at_once(client.start(provider.url, []), [], b"x")
            assert answer is not None
            with first:
                await provider.answer_by(first)
                assert await answer.whole(9) == b"hi"
            assert provider.nobody_called()


async def _both(provider: Provider) -> tuple[socket.socket, socket.socket]:
    return await provider.answer_one(), await provider.answer_one()


async def test_under_tls_too(waits: Waits, tmp_path: Path) -> None:
    authority, over = Authority.make(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        serving = asyncio.create_task(asyncio.to_thread(_answer_two, listening, authority.server(tmp_path), over))
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
        async with client_of(waits, trusts=authority.trusted()) as client:
            assert await get(client, url) == b"hi"
            assert connected(client) == 1
            over.set()
            wait_for_news(client)
            assert await get(client, url) == b"hi"
        await serving


def _answer_two(listening: socket.socket, tls: ssl.SSLContext, over: threading.Event) -> None:
    """One request a connection; the first one is ended when the test says so."""
    for _ in range(2):
        accepted, _ = listening.accept()
        with tls.wrap_socket(accepted, server_side=True) as line:
            assert line.recv(4096)
            line.sendall(OK)
            assert over.wait(10)


async def test_a_request_that_met_the_end_on_its_way_is_broken_and_never_sent_again(waits: Waits) -> None:
    progress = Progress()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider = Provider(listening)
        async with client_of(waits) as client:
            first = asyncio.create_task(provider.answer_one())
            assert await get(client, provider.url) == b"hi"
            with await first as accepted:
                call = asyncio.create_task(client.send("POST", provider.url, [], b"x", progress))
                assert await asyncio.get_running_loop().sock_recv(accepted, 4096)
            with pytest.raises(Broken):
                await call
            assert progress.wrote
            assert provider.nobody_called()
