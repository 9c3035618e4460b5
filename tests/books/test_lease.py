"""What a dead process held is settled at its bound, and a process that was taken for dead holds nothing more."""

import asyncio

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.ledger import sweep
from broker.ledger.lease import Lease
from broker.ledger.reserve import Reserver
from broker.store import schema
from broker.store.ledger_tables import LASTING, Boot
from tests.books.world import Books, demand, reported, standing


class Worker:
    """A second process on the same books, with a lease of 30 seconds."""

    def __init__(self, books: Books) -> None:
        self.slept = 0.0
        self.books = books
        self.lease = Lease(books.db, books.clock, lambda: books.clock() / 1_000_000 - self.slept, 30)
        self.reserve = Reserver(books.own, books.clock, self.lease)


@pytest.fixture
async def worker(books: Books) -> Worker:
    made = Worker(books)
    await made.lease.take()
    return made


async def boots(books: Books) -> list[Boot]:
    async def work(tx: AsyncSession) -> list[Boot]:
        return list((await tx.exec(select(Boot).order_by(col(Boot.started_at), col(Boot.lease_ends_at)))).all())

    return await books.db.read(work)


async def test_the_dead_are_swept_only_once_their_lease_has_lapsed(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    held = await worker.reserve(lent.jti, demand())
    books.clock.now += 30_000_000 - 1
    assert await books.sweep() == 0
    books.clock.now += 1
    assert await books.sweep() == 1
    row = await books.row(held)
    assert (row.state, row.mark, row.cost, row.outcome) == ("settled", "unresolved", 200, "process_died")
    assert standing(await books.money(lent.access_id)) == (200, 0, 0)
    assert await books.sweep() == 0


async def test_the_sweep_leaves_what_the_living_hold(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    await books.reserve(lent)
    await worker.reserve(lent.jti, demand())
    books.clock.turn(31)
    assert await books.sweep() == 1
    assert standing(await books.money(lent.access_id)) == (200, 200, 0)


async def test_whoever_changes_something_sees_whether_a_server_lives(books: Books, worker: Worker) -> None:
    async def lives() -> bool:
        return await schema.is_served(books.db, books.clock())

    await books.lease.give_back()
    assert await lives()
    books.clock.turn(31)
    assert not await lives()
    await worker.lease.take()
    assert await lives()
    await worker.lease.give_back()
    await books.add(Boot(id=LASTING, started_at=books.clock(), lease_ends_at=2**62))
    assert not await lives()


async def test_a_heartbeat_keeps_a_lease(books: Books, worker: Worker) -> None:
    for _ in range(5):
        books.clock.turn(20)
        assert await worker.lease.renew()
    assert await books.sweep() == 0
    await worker.reserve((await books.lend()).jti, demand())


async def test_a_lapsed_lease_forwards_nothing(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    books.clock.turn(30)
    with pytest.raises(Unavailable):
        await worker.reserve(lent.jti, demand())
    assert await books.rows() == []


@pytest.mark.parametrize("swept", [True, False])
async def test_a_lapsed_lease_is_not_renewed(books: Books, worker: Worker, swept: bool) -> None:
    books.clock.turn(31)
    if swept:
        await books.sweep()
    assert not await worker.lease.renew()
    assert not worker.lease.is_good


async def test_after_a_lapsed_lease_another_is_taken(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    old = await worker.reserve(lent.jti, demand())
    books.clock.turn(31)
    await worker.lease.renew()
    await worker.lease.take()
    await worker.reserve(lent.jti, demand())
    assert await books.sweep() == 1
    assert (await books.row(old)).mark == "unresolved"
    assert standing(await books.money(lent.access_id)) == (200, 200, 0)


async def test_a_worker_that_slept_asks_the_books_before_it_holds_again(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    books.clock.turn(3600)
    worker.slept = 3600  # its monotonic clock stood still, so by that its lease is good
    assert worker.lease.is_good
    with pytest.raises(Unavailable):
        await worker.reserve(lent.jti, demand())
    assert await books.rows() == []


async def test_a_lease_that_lapses_while_the_writer_is_busy_holds_nothing(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    asleep = asyncio.Event()

    async def busy(tx: AsyncSession) -> None:
        await asleep.wait()

    blocking = asyncio.create_task(books.db.write(busy))
    waiting = asyncio.create_task(worker.reserve(lent.jti, demand()))
    await asyncio.sleep(0)
    worker.slept = -31  # by its own clock alone, so that the books still know it
    asleep.set()
    await blocking
    with pytest.raises(Unavailable):
        await waiting
    assert [(row.state, row.mark) for row in await books.rows()] == [("released", "not_run")]
    assert standing(await books.money(lent.access_id)) == (0, 0, 0)


async def test_a_lease_given_back_is_over_at_once(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    await worker.reserve(lent.jti, demand())
    await worker.lease.give_back()
    with pytest.raises(Unavailable):
        await worker.reserve(lent.jti, demand())
    assert not await worker.lease.renew()
    assert await books.sweep() == 1


async def test_a_swept_lease_is_marked_as_ended(books: Books, worker: Worker) -> None:
    books.clock.turn(31)
    await books.sweep()
    assert [boot.ended_at for boot in await boots(books)] == [books.clock(), None]


async def test_more_holds_than_one_transaction_sweeps_are_all_swept(
    books: Books, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_BATCH", 2)
    lent = await books.lend(budget=10**9)
    for _ in range(3):
        await worker.reserve(lent.jti, demand())
    books.clock.turn(31)
    assert await books.sweep() == 3
    assert standing(await books.money(lent.access_id)) == (600, 0, 0)


async def test_two_sweeps_at_once_settle_each_hold_once(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    for _ in range(3):
        await worker.reserve(lent.jti, demand())
    books.clock.turn(31)
    assert max(await asyncio.gather(books.sweep(), books.sweep())) == 3
    assert await books.sweep() == 0
    assert standing(await books.money(lent.access_id)) == (600, 0, 0)


async def test_a_settlement_after_the_sweep_costs_nothing_more(books: Books, worker: Worker) -> None:
    lent = await books.lend()
    held = await worker.reserve(lent.jti, demand())
    books.clock.turn(31)
    await books.sweep()
    assert (await books.settle(held, reported(5, 0))).cost == 200
    assert standing(await books.money(lent.access_id)) == (200, 0, 0)
