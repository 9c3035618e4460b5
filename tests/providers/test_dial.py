"""Connections to servers that people brought: to the address that was judged, and to no other."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from broker.core.inside import read_inside
from broker.providers import names as lookups
from broker.providers import pooled
from broker.providers.client import NotReached, Waits
from broker.providers.dial import GuardedDial
from broker.providers.names import Unresolved
from broker.providers.pooled import PooledClient
from broker.providers.reach import Reach
from tests.providers.certificates import Authority
from tests.providers.wire import OK, Wire, ending_with, saying, serving

WAITS = Waits(2, 2, 2)
LOOPBACK = Reach(*read_inside(("127.0.0.0/8",)))


@dataclass
class Names:
    """A name server that says one thing after the other, and the last one from then on."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def guarded(names: Names, reach: Reach = LOOPBACK, **terms: object) -> AsyncIterator[PooledClient]:
    client = PooledClient(WAITS, guard=GuardedDial(reach, names), **terms)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        await client.close()


async def get(client: PooledClient, url: str) -> bytes:
    return await (await client.send("GET", url, [], brought=True)).whole(1 << 20)


async def test_the_address_that_was_judged_is_connected_to_and_the_name_is_told_to_the_host() -> None:
    async with serving(saying(OK)) as wire, guarded(Names([["127.0.0.1"]])) as client:
        assert await get(client, f"http://llm.example.com:{wire.port}/v1/models") == b"hi"
        assert b"host: llm.example.com:%d" % wire.port in wire.asked[0]


async def test_a_name_that_leads_elsewhere_the_second_time_is_not_followed() -> None:
    """DNS rebinding: the first answer is good, the next one leads to what is not open."""
    names = Names([["127.0.0.1"], ["10.0.0.1"]])
    async with serving(ending_with(OK)) as wire, guarded(names) as client:
        url = f"http://llm.example.com:{wire.port}/v1/models"
        assert await get(client, url) == b"hi"
        assert names.asked == ["llm.example.com"], "one question a connection: what was judged is what is connected to"
        await asyncio.sleep(0.05)
        with pytest.raises(NotReached):
            await get(client, url)
        assert (wire.opened, len(names.asked)) == (1, 2)


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    async with serving(saying(OK)) as wire, guarded(Names([["127.0.0.1", "10.0.0.1"]])) as client:
        with pytest.raises(NotReached):
            await get(client, f"http://llm.example.com:{wire.port}/")
        assert wire.opened == 0


async def test_another_address_of_the_host_is_tried_where_one_does_not_answer() -> None:
    async with serving(saying(OK)) as wire, guarded(Names([["127.0.0.77", "127.0.0.1"]])) as client:
        assert await get(client, f"http://llm.example.com:{wire.port}/") == b"hi"


async def test_nothing_inside_is_reached_unless_it_was_opened() -> None:
    async with serving(saying(OK)) as wire, guarded(Names([["127.0.0.1"]]), Reach()) as client:
        for host in ("llm.example.com", "127.0.0.1", "localhost"):
            with pytest.raises(NotReached):
                await get(client, f"http://{host}:{wire.port}/")
        assert wire.opened == 0


async def test_an_address_of_numbers_is_no_question_to_a_name_server() -> None:
    names = Names([["10.0.0.1"]])
    async with serving(saying(OK)) as wire, guarded(names) as client:
        assert await get(client, f"http://127.0.0.1:{wire.port}/") == b"hi"
        assert names.asked == []


async def test_a_client_without_a_guard_reaches_nothing_that_people_brought() -> None:
    async with serving(saying(OK)) as wire:
        client = PooledClient(WAITS)
        with pytest.raises(NotReached):
            await get(client, f"http://127.0.0.1:{wire.port}/")
        await client.close()
        assert wire.opened == 0


async def test_no_connection_is_shared_with_the_providers_of_the_operator() -> None:
    async with serving(saying(OK)) as wire, guarded(Names([["127.0.0.1"]])) as client:
        url = f"http://127.0.0.1:{wire.port}/"
        assert await (await client.send("GET", url, [])).whole(10) == b"hi"
        assert await get(client, url) == b"hi"
        assert await get(client, url) == b"hi"
        assert wire.opened == 2


async def test_the_certificate_has_to_be_of_the_name_that_was_typed(tmp_path: Path) -> None:
    authority = Authority.make()
    server = authority.server(tmp_path, name="llm.example.com")
    async with (
        serving(saying(OK), server) as wire,
        guarded(Names([["127.0.0.1"]]), ssl_context=authority.trusted()) as client,
    ):
        assert await get(client, f"https://llm.example.com:{wire.port}/") == b"hi"
        with pytest.raises(NotReached):
            await get(client, f"https://other.example.com:{wire.port}/")


async def test_a_redirect_is_not_followed() -> None:
    async def away(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:%d/v1\r\ncontent-length: 0\r\n\r\n"
            % wire.port
        )
        await writer.drain()

    async with serving(away) as wire, guarded(Names([["127.0.0.1"]])) as client:
        answer = await client.send("GET", f"http://llm.example.com:{wire.port}/", [], brought=True)
        assert (answer.status, len(wire.asked)) == (307, 1)
        await answer.close()


async def test_a_name_without_an_address_is_not_reached() -> None:
    async def nowhere(_host: str) -> list[str]:
        raise Unresolved("the name has no address")

    client = PooledClient(WAITS, guard=GuardedDial(LOOPBACK, nowhere))
    with pytest.raises(NotReached):
        await get(client, "http://llm.example.com:8000/")
    await client.close()


async def test_names_of_other_strangers_are_looked_up_however_many_of_theirs_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = threading.Event()

    def slow(_host: str) -> list[str]:
        gate.wait(10)
        return ["8.8.8.8"]

    monkeypatch.setattr(lookups, "_ask", slow)
    one, other = lookups.Resolver(1), lookups.Resolver(1)
    waiting = [asyncio.ensure_future(each("llm.example.com")) for each in (one, other)]
    await asyncio.sleep(0)
    with pytest.raises(Unresolved, match="too many"):
        await one("llm.example.com")
    gate.set()
    assert await asyncio.gather(*waiting) == [["8.8.8.8"]] * 2


async def test_hosts_that_nobody_is_connected_to_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "MOST_BROUGHT", 3)
    async with serving(ending_with(OK)) as wire, guarded(Names([["127.0.0.1"]])) as client:
        for number in range(10):
            await get(client, f"http://host{number}.example.com:{wire.port}/")
            await asyncio.sleep(0.02)
        assert len(client._brought) <= 3
