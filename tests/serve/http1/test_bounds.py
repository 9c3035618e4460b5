"""Nothing is waited for without end, and nothing is held without bound."""

import asyncio
import socket

import pytest
from starlette.types import Receive, Scope, Send

from broker.serve import http1_worker
from tests.serve.http1.served import GET, HOST, echo, read_all, reply, served

MEBIBYTE = b"x" * 1_048_576


@pytest.mark.parametrize("opening", [b"G", b"GET / HTTP/1.1\r\n", GET[:-2]])
async def test_a_head_that_comes_too_slowly_is_refused(opening: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_worker, "HEAD_SECONDS", 0.5)
    async with served(echo) as server:
        heard = await server.tell(opening)
        line = await server.connect()
        await line.ask(GET)
        answer = await line.ask(opening)
    assert heard.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert (answer.status, answer.header("connection")) == (408, "close")


async def test_a_head_behind_a_long_request_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_worker, "HEAD_SECONDS", 1.0)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.2)
        await reply(send, b"slow")

    async with served(slow) as server:
        line = await server.connect()
        await line.say(GET + GET[:9])
        assert (await line.hear()).status == 200
        assert (await line.ask(GET[9:])).status == 200


async def test_a_connection_without_a_request_is_closed_in_time_and_without_a_word() -> None:
    async with served(echo, keep_alive_timeout=0.8) as server:
        assert await server.tell(b"") == b""
        assert await server.tell(b"\r\n") == b""
        line = await server.connect()
        for _ in range(3):
            await line.ask(GET)
            await asyncio.sleep(0.3)
        assert await asyncio.wait_for(line.rest(), 10) == b""


async def test_a_running_request_is_not_idle() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.8)
        await reply(send, b"slow")

    async with served(slow, keep_alive_timeout=0.5) as server:
        assert (await (await server.connect()).ask(GET)).body == b"slow"


async def test_an_app_waits_for_a_client_that_does_not_read() -> None:
    sent = 0

    async def pour(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": MEBIBYTE, "more_body": True})
            sent += 1
        await send({"type": "http.response.body", "body": b""})

    async with served(pour) as server:
        line = await server.connect()
        await line.say(GET)
        stood_at = -1
        while sent != stood_at:
            stood_at = sent
            await asyncio.sleep(0.2)
        assert stood_at < 16
        assert len((await line.hear()).body) == 64 * len(MEBIBYTE)


async def test_a_client_that_reads_nothing_for_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_worker, "STALL_SECONDS", 0.1)
    left = asyncio.Event()

    async def pour(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": MEBIBYTE * 64, "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        left.set()

    async with served(pour) as server:
        line = await server.connect()
        await line.say(GET)
        await asyncio.wait_for(left.wait(), 10)


async def test_a_client_waits_for_an_app_that_does_not_read(parser: str) -> None:
    go_on = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await reply(send, str(len(await read_all(receive))).encode())

    length = 64 * len(MEBIBYTE)
    async with served(slow, parser) as server:
        line = await server.connect()
        line.writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % length)
        saying = asyncio.create_task(line.say(*[MEBIBYTE] * 64))
        await asyncio.sleep(0.2)
        assert not saying.done()
        go_on.set()
        assert (await line.hear()).body == str(length).encode()
        await saying


async def test_a_body_that_is_read_in_pieces_is_whole() -> None:
    """The end of it comes while an earlier piece is handed over."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.02)
        await reply(send, str(len(await read_all(receive))).encode())

    async with served(slow) as server:
        line = await server.connect()
        for size in (65_536, 65_537, 80_000, 130_000, 300_000):
            await line.say(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
            assert (await line.hear()).body == str(size).encode()


@pytest.mark.parametrize("framing", [b"Content-Length: 67108864\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_an_answer_before_the_body_is_heard_by_a_client_that_sends_on(framing: bytes) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"no", 401)

    async with served(refuse) as server:
        line = await server.connect()
        await line.say(b"POST / HTTP/1.1\r\n" + HOST + framing + b"\r\n" + b"4000000\r\n" * (b"chunked" in framing))
        saying = asyncio.gather(line.say(*[MEBIBYTE] * 4), return_exceptions=True)
        answer = await line.hear()
        assert (answer.status, answer.body, answer.header("connection")) == (401, b"no", "close")
        assert await asyncio.wait_for(line.rest(), 10) == b""
        await saying


async def test_who_sends_on_after_the_last_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_worker, "LINGER_SECONDS", 0.1)
    loop = asyncio.get_running_loop()
    async with served(echo) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setblocking(False)
            await loop.sock_sendall(client, b"nonsense\r\n\r\n")
            assert (await loop.sock_recv(client, 65_536)).startswith(b"HTTP/1.1 501 ")

            async def say_on() -> None:
                while True:
                    await loop.sock_sendall(client, b"more")
                    await asyncio.sleep(0.01)

            with pytest.raises(ConnectionError):
                await asyncio.wait_for(say_on(), 10)


async def test_of_connections_that_come_together_many_are_taken_up_in_one_turn_of_the_loop(parser: str) -> None:
    """Under load a turn takes ten milliseconds, and whoever is taken up last has waited for all turns before."""
    loop, turns, begun = asyncio.get_running_loop(), 0, []

    def turn() -> None:
        nonlocal turns
        turns += 1
        if not server.stop.is_set():
            loop.call_soon(turn)

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(turns)
        await reply(send, b"")

    async with served(noting, parser) as server:
        came = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(128)]
        for each in came:
            each.sendall(GET)
        turn()
        answers = [await asyncio.to_thread(each.recv, 65_536) for each in came]
        server.stop.set()
        for each in came:
            each.close()
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert max(begun) - min(begun) < len(came) / 2
