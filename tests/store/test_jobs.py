"""Work that goes on at providers, as both stores keep it: one process looks at a time, and its hold outlives its worker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE, SECOND
from broker.core.grant import GrantEvent
from broker.ledger.ask import Reservation
from broker.store import jobs
from broker.store.grant_tables import AccessToken
from broker.store.ledger_tables import LASTING
from broker.store.object_tables import ProviderJob
from broker.store.tables import Client, User
from tests.books.world import NOT_RUN, Books, Lent
from tests.stores import Store
from tests.turned_clock import TurnedClock

Gone = Callable[[Books, Lent], Awaitable[None]]


@pytest.fixture
async def books(store: Store) -> AsyncIterator[Books]:
    opened = Books(store.open(), TurnedClock())
    await opened.open()
    yield opened
    fault = await opened.fault()
    await opened.db.close()
    assert not fault


@pytest.fixture
async def lent(books: Books) -> Lent:
    return await books.lend()


def job_of(books: Books, lent: Lent, held: Reservation, digest: str = "d", due_in: int = 0) -> ProviderJob:
    return ProviderJob(
        reservation_id=held.id,
        digest=digest,
        kind="batch",
        provider="openai",
        remote_id="batch_1",
        grant_id=lent.grant_id,
        access_id=lent.access_id,
        credential_id=books.credential_id,
        most=1,
        created_at=books.clock(),
        due_at=books.clock() + due_in,
        pause=2 * SECOND,
    )


async def adopted(books: Books, lent: Lent, digest: str = "d", due_in: int = 0) -> Reservation:
    held = await books.reserve(lent)
    assert await books.db.write(lambda tx: jobs.adopt(tx, job_of(books, lent, held, digest, due_in)))
    return held


async def due(books: Books, most: int = 10) -> list[ProviderJob]:
    return list(await books.db.read(lambda tx: jobs.due(tx, books.clock(), most)))


async def may_go_on(books: Books) -> bool:
    [job] = await due(books)
    return await books.db.read(lambda tx: jobs.may_go_on(tx, job, books.clock()))


async def test_its_hold_leaves_the_lease_of_its_worker(books: Books, lent: Lent) -> None:
    """Twice, so that the lease that never ends is there already."""
    for digest in ("a", "b"):
        held = await adopted(books, lent, digest)
        assert (await books.row(held)).boot_id == LASTING


async def test_a_hold_that_is_held_no_more_is_not_adopted(books: Books, lent: Lent) -> None:
    held = await books.reserve(lent)
    await books.settle(held, NOT_RUN)
    assert not await books.db.write(lambda tx: jobs.adopt(tx, job_of(books, lent, held)))
    assert await due(books) == []


async def test_what_is_due_comes_first_first_and_only_so_many(books: Books, lent: Lent) -> None:
    for digest, due_in in (("late", 3), ("soon", 1), ("next", 2), ("far", 100)):
        await adopted(books, lent, digest, due_in)
    books.clock.now += 3
    assert [job.digest for job in await due(books)] == ["soon", "next", "late"]
    assert [job.digest for job in await due(books, 2)] == ["soon", "next"]


async def test_of_many_who_look_one_has_it_until_the_pause_is_over(books: Books, lent: Lent) -> None:
    await adopted(books, lent)
    [job] = await due(books)
    claims = (books.db.write(lambda tx: jobs.claim(tx, job, books.clock(), MINUTE)) for _ in range(6))
    assert sorted(await asyncio.gather(*claims)) == [False] * 5 + [True]
    assert await due(books) == []
    books.clock.now += 2 * SECOND
    [again] = await due(books)
    assert again.pause == 4 * SECOND


async def test_the_pause_grows_to_the_longest_and_no_further(books: Books, lent: Lent) -> None:
    await adopted(books, lent)
    pauses = []
    for _ in range(4):
        [job] = await due(books)
        pauses.append(job.pause)
        assert await books.db.write(partial(jobs.claim, job=job, now=books.clock(), longest_pause=5 * SECOND))
        books.clock.now += job.pause
    assert pauses == [2 * SECOND, 4 * SECOND, 5 * SECOND, 5 * SECOND]


async def test_who_saw_that_it_has_ended_has_it_looked_at_at_once(books: Books, lent: Lent) -> None:
    await adopted(books, lent, "mine", MINUTE)
    await adopted(books, lent, "other", MINUTE)
    hastened = [
        await books.db.write(partial(jobs.hasten, digests=names, now=books.clock()))
        for names in (["unknown"], ["mine", "unknown"], ["mine"])
    ]
    assert hastened == [False, True, False]
    assert [job.digest for job in await due(books)] == ["mine"]


async def test_it_is_open_until_it_is_ended(books: Books, lent: Lent) -> None:
    await adopted(books, lent, "mine")
    [job] = await due(books)
    await books.db.write(lambda tx: jobs.cancelled(tx, job, books.clock()))
    [asked] = await due(books)
    assert asked.cancelled_at == books.clock()
    assert await books.db.read(lambda tx: jobs.are_open(tx, ["unknown", "mine"]))
    await books.db.write(lambda tx: jobs.end(tx, job))
    assert not await books.db.read(lambda tx: jobs.are_open(tx, ["unknown", "mine"]))
    assert await due(books) == []


async def _ended(books: Books, lent: Lent) -> None:
    await books.run("UPDATE access SET ended_at = 1")


async def _late(books: Books, lent: Lent) -> None:
    await books.run("UPDATE access SET ends_at = :now", now=books.clock())


async def _revoked(books: Books, lent: Lent) -> None:
    assert await books.move(lent.grant_id, GrantEvent.REVOKE)


async def _disabled(books: Books, lent: Lent) -> None:
    async def work(tx: AsyncSession) -> None:
        (await tx.get_one(User, books.user_id)).disabled_at = books.clock()

    await books.db.write(work)


async def _removed(books: Books, lent: Lent) -> None:
    async def work(tx: AsyncSession) -> None:
        (await tx.get_one(Client, books.client_id)).removed_at = books.clock()

    await books.db.write(work)


async def _taken_back(books: Books, lent: Lent) -> None:
    async def work(tx: AsyncSession) -> None:
        (await tx.get_one(AccessToken, lent.jti)).revoked_at = books.clock()

    await books.db.write(work)


@pytest.mark.parametrize("gone", [_ended, _late, _revoked, _disabled, _removed, _taken_back])
async def test_it_may_go_on_while_all_is_there_that_it_was_begun_under(books: Books, lent: Lent, gone: Gone) -> None:
    await adopted(books, lent)
    assert await may_go_on(books)
    await gone(books, lent)
    assert not await may_go_on(books)


async def test_a_token_above_its_own_that_is_taken_back_ends_it_too(books: Books, lent: Lent) -> None:
    below = await books.token(lent.grant_id, parent_jti=lent.jti)
    lowest = Lent(lent.grant_id, lent.access_ids, await books.token(lent.grant_id, parent_jti=below))
    await adopted(books, lowest)
    assert await may_go_on(books)
    await _taken_back(books, lent)
    assert not await may_go_on(books)
