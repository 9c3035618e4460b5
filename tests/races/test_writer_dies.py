"""Workers on SQLite: one of two ends while it is its turn to write; or the parent ends, that writes the books for two or lets one write them."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import httpx
import pytest

from broker.ledger.host import LONGEST_TURN
from tests.fake_provider import Asked, completion, whole
from tests.patience import promised
from tests.races.brokers import Provider, at_rest, call, serving, stream
from tests.serve.installation import Granted, Installation, dollars
from tests.serve.running import Running, eventually, is_alive

WRITERS, APPS = 8, 8
TRIES, LOOKS = 300, 20
LEASE = 3.0
GOES_ON_WITHIN = promised(2.0, beside_others=8.0)
"""Less than the longest turn, after which a living one would lose it."""
GONE_WITHIN = promised(1.0, beside_others=10.0)
ENDED_WITHIN = promised(5.0, beside_others=20.0)
SWEPT_WITHIN = LEASE + 5.0 + promised(3.0, beside_others=30.0)


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    settings = {
        "BROKER_WORKERS": "2",
        "BROKER_CALL_LEASE_SECONDS": f"{LEASE:.0f}",
        "BROKER_OAUTH_REQUESTS_A_MINUTE": "1000000",
    }
    made = Installation(tmp_path, settings)
    made.furnish()
    return made


async def test_a_worker_killed_in_its_turn_to_write_keeps_nobody_waiting(place: Installation) -> None:
    script = Provider()
    script.go_on.set()
    async with serving([place], script) as (provider, (server,), (http,)):
        granted = await asyncio.to_thread(place.grant)
        async with _writing(place, http):
            worker = await asyncio.to_thread(_stopped_while_it_writes, server)
        waiting = asyncio.create_task(_call_anew(http, granted))
        await asyncio.wait({waiting}, timeout=0.5)
        assert not waiting.done()
        assert provider.asked == []
        os.kill(worker, signal.SIGKILL)
        answered = await asyncio.wait_for(waiting, GOES_ON_WITHIN)
        assert answered.status_code == 200
        assert len(provider.asked) == 1
        await asyncio.to_thread(eventually, lambda: len(set(server.workers()) - {worker}) == 2)
        assert (await _call_anew(http, granted)).status_code == 200
    assert (await asyncio.to_thread(place.broker, "ledger", "verify")).startswith("OK: 2 calls")


async def test_a_worker_that_is_stopped_in_its_turn_is_ended_and_the_others_go_on(place: Installation) -> None:
    script = Provider()
    script.go_on.set()
    async with serving([place], script) as (_, (server,), (http,)):
        granted = await asyncio.to_thread(place.grant)
        async with _writing(place, http):
            worker = await asyncio.to_thread(_stopped_while_it_writes, server)
        await asyncio.to_thread(eventually, lambda: not is_alive(worker), within=LONGEST_TURN + ENDED_WITHIN)
        await asyncio.to_thread(eventually, lambda: len(set(server.workers()) - {worker}) == 2)
        # Nobody could renew a lease meanwhile, and one that lapsed is taken anew at the next heartbeat.
        async with asyncio.timeout(SWEPT_WITHIN):
            while (await _call_anew(http, granted)).status_code != 200:  # noqa: ASYNC110 - it tells nobody else
                await asyncio.sleep(0.2)
    assert (await asyncio.to_thread(place.broker, "ledger", "verify")).startswith("OK: 1 call")


class StreamsWait(Provider):
    """Whatever is no stream is answered at once."""

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.json().get("stream"):
            await super().__call__(asked, writer)
            return
        writer.write(whole(completion()))
        await writer.drain()


@pytest.mark.parametrize("number", ["1", "2"])
async def test_no_worker_outlives_the_parent_and_what_they_held_is_the_next_ones_to_settle(
    place: Installation, number: str
) -> None:
    place.settings["BROKER_WORKERS"] = number
    script = StreamsWait()
    async with serving([place], script) as (provider, (server,), (http,)):
        streaming, calling = [
            await asyncio.to_thread(lambda: place.grant(budget=dollars(50_000_000))) for _ in range(2)
        ]
        async with stream(http, streaming), stream(http, streaming):
            apps = [asyncio.create_task(_until_it_is_away(http, calling)) for _ in range(APPS)]
            await asyncio.sleep(1.0)
            workers = server.workers()
            server.process.kill()
            killed = time.monotonic()
            await asyncio.to_thread(_gone, workers)
            assert time.monotonic() - killed < GONE_WITHIN
            served = sum(await asyncio.gather(*apps))
        asked = len(provider.asked)
    assert 0 < served <= asked
    async with serving([place], script) as (_, _, (http,)):
        for granted in (streaming, calling):
            await asyncio.to_thread(_wait_for_rest, place, granted)
        assert (await call(http, calling)).status_code == 200
        # An answer goes out before its settlement is on the disk, and this server is about to be killed.
        await asyncio.to_thread(_wait_for_rest, place, calling)
    assert asked <= await asyncio.to_thread(_ran, place) - 1
    assert await asyncio.to_thread(_marks, place, streaming) == ["unresolved"] * 2
    assert (await asyncio.to_thread(place.broker, "ledger", "verify")).startswith("OK: ")


@asynccontextmanager
async def _writing(place: Installation, http: httpx.AsyncClient) -> AsyncIterator[None]:
    """Both workers take their turns, again and again."""

    async def write() -> None:
        while True:
            with suppress(httpx.TransportError):
                await http.post("/oauth/revoke", data={"client_id": place.client_id, "token": "unknown"})

    writers = [asyncio.create_task(write()) for _ in range(WRITERS)]
    try:
        yield
    finally:
        for writer in writers:
            writer.cancel()
        await asyncio.wait(writers)


def _stopped_while_it_writes(server: Running) -> int:
    """A worker that was stopped, and keeps the lock of the database."""
    with closing(sqlite3.connect(server.data / "broker.db", timeout=0, isolation_level=None)) as connection:
        for number in range(TRIES):
            worker = server.workers()[number % 2]
            os.kill(worker, signal.SIGSTOP)
            if all(_is_locked(connection) for _ in _looks()):
                return worker
            os.kill(worker, signal.SIGCONT)
            time.sleep(0.01)
    raise AssertionError("it never stopped in the middle")


def _looks() -> Iterator[None]:
    for _ in range(LOOKS):
        time.sleep(0.01)
        yield


def _is_locked(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    connection.execute("ROLLBACK")
    return False


async def _call_anew(http: httpx.AsyncClient, granted: Granted) -> httpx.Response:
    """Over a connection that no worker has accepted yet."""
    async with httpx.AsyncClient(base_url=http.base_url, trust_env=False, timeout=60) as fresh:
        return await call(fresh, granted)


async def _until_it_is_away(http: httpx.AsyncClient, granted: Granted) -> int:
    """How many calls were answered."""
    served = 0
    with suppress(httpx.TransportError):
        while True:
            answered = await call(http, granted)
            assert answered.status_code in (200, 503)
            served += answered.status_code == 200
    return served


def _gone(workers: list[int]) -> None:
    eventually(lambda: not any(is_alive(worker) for worker in workers), within=30.0)


def _wait_for_rest(place: Installation, granted: Granted) -> None:
    eventually(lambda: at_rest(place, granted), within=SWEPT_WITHIN)


def _ran(place: Installation) -> int:
    with closing(sqlite3.connect(place.folder / "data/broker.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM reservation WHERE state = 'settled'").fetchone()[0])


def _marks(place: Installation, granted: Granted) -> list[str]:
    with closing(sqlite3.connect(place.folder / "data/broker.db")) as connection:
        rows = connection.execute("SELECT mark FROM reservation WHERE grant_id = ?", (granted.grant_id,))
        return [mark for (mark,) in rows]
