"""Whatever comes, in whatever pieces: an answer that is no fault of ours, or silence, and always an end."""

import asyncio
import random
import re

import pytest
from starlette.types import Receive, Scope, Send

from tests.serve.http1.served import GET, HOST, Served, read_all, reply, served

SOUND = [
    GET,
    b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 11\r\nX-A: b\r\n\r\nhello world",
    b"POST /a HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n",
    b"PUT /a?b=c HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /a HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab",
]
PIECES = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b":",
    b" ",
    b"0",
    b"\xff",
    b"HTTP/1.1",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 1\r\n",
]


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        body = await read_all(receive)
    except ConnectionResetError:
        return
    # Of letters only, so that it cannot look like a head to whoever reads the connection below.
    await reply(send, b"%d" % len(body))


def mutate(dice: random.Random, raw: bytes) -> bytes:
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(raw) + 1)
        match dice.randrange(4):
            case 0:
                raw = raw[:at] + dice.choice(PIECES) + raw[at:]
            case 1:
                raw = raw[:at] + raw[at + dice.randint(1, 8) :]
            case 2:
                raw = raw[:at] + bytes([dice.randrange(256)]) + raw[at + 1 :]
            case _:
                end = dice.randrange(at, len(raw) + 1)
                raw = raw[:end] + raw[at:end] + raw[end:]
    return raw


def split(dice: random.Random, raw: bytes) -> list[bytes]:
    cuts = sorted(dice.randrange(len(raw) + 1) for _ in range(dice.randint(0, 5)))
    return [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


async def _statuses(server: Served, pieces: list[bytes]) -> list[int]:
    line = await server.connect()
    try:
        await line.say(*pieces)
        line.writer.write_eof()
    except (ConnectionError, OSError):
        pass
    heard = await asyncio.wait_for(line.rest(), 20)
    line.vanish()
    server.lines.clear()
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", heard)]


@pytest.mark.parametrize("seed", range(4))
async def test_changed_requests_are_answered_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    seen: set[int] = set()
    async with served(_echo) as server:
        for _ in range(250):
            raw = b"".join(dice.choice(SOUND) for _ in range(dice.randint(1, 3)))
            statuses = await _statuses(server, split(dice, mutate(dice, raw)))
            assert {500, 502, 503, 504}.isdisjoint(statuses), raw
            seen.update(statuses)
    assert {200, 400} <= seen


@pytest.mark.parametrize("seed", range(4))
async def test_sound_requests_are_answered_however_they_are_split(seed: int) -> None:
    dice = random.Random(seed)
    async with served(_echo) as server:
        for _ in range(100):
            asked = [dice.choice(SOUND[:3]) for _ in range(dice.randint(1, 6))]
            line = await server.connect()
            await line.say(*split(dice, b"".join(asked)))
            for raw in asked:
                assert (await line.hear()).body == (b"0" if raw is GET else b"11")
            line.vanish()
            server.lines.clear()
