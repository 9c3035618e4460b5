"""The turn to write, as the parent hands it to its workers: one at a time, and nobody keeps it by going silent."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broker.core.errors import Unavailable
from broker.ledger.books import OwnBooks
from broker.ledger.distant import DistantBooks
from broker.ledger.host import Hosted
from broker.store.database import Database
from tests.stores import Store
from tests.turned_clock import TurnedClock

AT_ONCE = 8.0
"""Seconds: on a busy machine, and still less than the longest turn."""


class Parent:
    def __init__(self, db: Database) -> None:
        self.db = db
        self.books = OwnBooks(db, TurnedClock())
        self.desks: list[Hosted] = []
        self.seats: list[DistantBooks] = []

    async def worker(self) -> DistantBooks:
        desk, seat = socket.socketpair()
        hosted = await Hosted.on(desk, self.db, self.books)
        _, worker = await asyncio.get_running_loop().create_unix_connection(DistantBooks, sock=seat)
        self.desks.append(hosted)
        self.seats.append(worker)
        return worker

    async def close(self) -> None:
        for line in (*self.desks, *self.seats):
            line.close()
        await self.db.close()
        await asyncio.sleep(0)


@pytest.fixture
async def parent(fresh_sqlite: Store) -> AsyncIterator[Parent]:
    made = Parent(fresh_sqlite.open())
    yield made
    await made.close()


@asynccontextmanager
async def turn_of(worker: DistantBooks) -> AsyncIterator[None]:
    async with asyncio.timeout(AT_ONCE), worker.turn:
        yield


async def in_turn(worker: DistantBooks, log: list[str], name: str) -> None:
    async with turn_of(worker):
        log.append(f"{name} begins")
        await asyncio.sleep(0)
        log.append(f"{name} ends")


async def test_of_all_workers_one_writes_at_a_time_and_each_in_its_order(parent: Parent) -> None:
    one, other = await parent.worker(), await parent.worker()
    log: list[str] = []
    await asyncio.gather(*(in_turn(each, log, f"{n}") for n in range(5) for each in (one, other)))
    begun, ended = log[::2], log[1::2]
    assert [each.removesuffix(" begins") for each in begun] == [each.removesuffix(" ends") for each in ended]
    assert sorted(begun) == sorted(f"{n} begins" for n in range(5) for _ in (one, other))


async def test_a_worker_whose_line_breaks_in_its_turn_has_it_no_longer(parent: Parent) -> None:
    dying, living = await parent.worker(), await parent.worker()
    async with dying.turn:
        dying.close()
        async with turn_of(living):
            pass


async def test_a_worker_that_dies_while_it_waits_is_passed_over(parent: Parent) -> None:
    first, dying, living = [await parent.worker() for _ in range(3)]
    async with turn_of(first):
        waiting = asyncio.create_task(in_turn(dying, [], "dying"))
        await asyncio.sleep(0.01)
        dying.close()
        with pytest.raises(Unavailable):
            await waiting
    async with turn_of(living):
        pass


async def test_a_worker_that_gives_up_waiting_gets_its_next_turn_at_once(parent: Parent) -> None:
    busy, hasty = await parent.worker(), await parent.worker()
    async with turn_of(busy):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), hasty.turn:
                raise AssertionError("it is not its turn")
    async with turn_of(hasty), turn_of_nobody(busy):
        pass
    async with turn_of(busy):
        pass


@asynccontextmanager
async def turn_of_nobody(worker: DistantBooks) -> AsyncIterator[None]:
    """It is refused its turn, as another one has it."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), worker.turn:
            raise AssertionError("two have a turn")
    yield


async def test_a_worker_that_hangs_in_its_turn_loses_it(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.ledger.host.LONGEST_TURN", 0.05)
    hanging, living = await parent.worker(), await parent.worker()
    ended: list[str] = []
    parent.desks[0].lost = lambda: ended.append("hanging")
    async with hanging.turn, turn_of(living):
        pass
    async with turn_of(hanging):
        pass
    assert ended == ["hanging"]


async def test_what_waits_for_a_turn_is_told_when_the_parent_is_gone(parent: Parent) -> None:
    first, waiting = await parent.worker(), await parent.worker()
    async with turn_of(first):
        asked = asyncio.create_task(in_turn(waiting, [], "late"))
        await asyncio.sleep(0.01)
        parent.desks[1].close()
        with pytest.raises(Unavailable):
            await asked
    with pytest.raises(Unavailable):
        await in_turn(waiting, [], "later")
