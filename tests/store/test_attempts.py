"""Tries by key: which of them were made lately, on both stores."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from broker.store import attempts
from broker.store.database import Database
from tests.stores import Store


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    opened = store.open()
    yield opened
    await opened.close()


async def tried(db: Database, key: str, *times: int) -> list[str]:
    return [await db.write(partial(attempts.add, key=key, now=at)) for at in times]


async def nth(db: Database, key: str, number: int, since: int = 0) -> int | None:
    return await db.read(lambda tx: attempts.nth_newest(tx, key, number, since))


async def test_the_newest_come_first_whatever_order_they_were_written_in(db: Database) -> None:
    await tried(db, "ana", 20, 30, 10)
    assert [await nth(db, "ana", number) for number in (1, 2, 3, 4)] == [30, 20, 10, None]


async def test_tries_of_one_instant_are_as_many_as_they_are(db: Database) -> None:
    await tried(db, "ana", 10, 10, 10)
    assert [await nth(db, "ana", number) for number in (1, 3, 4)] == [10, 10, None]


async def test_only_what_was_tried_after_an_instant_counts_and_only_of_this_key(db: Database) -> None:
    await tried(db, "ana", 10, 20)
    await tried(db, "ben", 30)
    assert [await nth(db, "ana", 1, since) for since in (19, 20)] == [20, None]
    assert await nth(db, "ana", 2, since=10) is None


async def test_a_try_can_be_forgotten_and_no_other_with_it(db: Database) -> None:
    ids = await tried(db, "ana", 10, 20, 30)
    await db.write(lambda tx: attempts.forget(tx, [ids[2], ids[0]]))
    assert [await nth(db, "ana", number) for number in (1, 2)] == [20, None]
    await db.write(lambda tx: attempts.forget(tx, []))
    assert await nth(db, "ana", 1) == 20


async def test_old_ones_are_swept_up_to_an_instant_and_counted(db: Database) -> None:
    await tried(db, "ana", 10, 20, 21)
    await tried(db, "ben", 5)
    assert await db.write(lambda tx: attempts.sweep(tx, 20)) == 3
    assert await db.write(lambda tx: attempts.sweep(tx, 20)) == 0
    assert (await nth(db, "ana", 1), await nth(db, "ben", 1)) == (21, None)
