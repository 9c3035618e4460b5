"""What may be shown once only."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.store import seen
from broker.store.database import Database
from broker.store.steps import run_steps
from broker.store.tables import Seen
from tests.stores import Store

NOW = 1_000_000


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    opened = store.open()
    yield opened
    await opened.close()


def name(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def on_shelf(shelf: str, number: int) -> str:
    return shelf + name(number)[seen.SHELF :]


async def once(db: Database, digest: str, *, ends_at: int = NOW + 60, now: int = NOW) -> bool:
    return await db.write(lambda tx: seen.once(tx, digest, ends_at, now))


async def remembered(db: Database) -> int:
    return await db.read(_count)


async def _count(tx: AsyncSession) -> int:
    return int((await tx.exec(select(func.count()).select_from(Seen))).one())


async def test_the_second_time_is_told_from_the_first(db: Database) -> None:
    assert [await once(db, name(1)), await once(db, name(1)), await once(db, name(2))] == [True, False, True]


async def test_another_process_knows_it_at_once_and_a_new_one_still(db: Database, store: Store) -> None:
    assert await once(db, name(1))
    other = store.open()
    assert not await once(other, name(1))
    await other.close()


async def test_of_many_at_once_one_is_the_first(db: Database, store: Store) -> None:
    other = store.open()
    told = await asyncio.gather(*(once(one, name(1)) for one in (db, other) * 10))
    await other.close()
    assert sorted(told) == [False] * 19 + [True]


async def test_what_has_ended_is_not_taken_even_the_first_time(db: Database) -> None:
    assert not await once(db, name(1), ends_at=NOW)
    assert await remembered(db) == 0


async def test_a_full_shelf_refuses_and_forgets_nothing_that_still_counts(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "MOST_ON_A_SHELF", 3)
    for number in range(3):
        assert await once(db, on_shelf("fff", number))
    with pytest.raises(Unavailable):
        await once(db, on_shelf("fff", 3))
    assert [await once(db, on_shelf("ffe", 0)), await once(db, on_shelf("000", 0))] == [True, True]
    monkeypatch.setattr(seen, "MOST_ON_A_SHELF", 4)
    assert [await once(db, on_shelf("fff", number)) for number in range(4)] == [False] * 3 + [True]


async def test_many_are_answered_one_by_one_in_one_transaction(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await once(db, name(1))
    monkeypatch.setattr(seen, "MOST_ON_A_SHELF", 1)
    assert await once(db, on_shelf("fff", 1))
    shown = [seen.Shown(digest, NOW + 60) for digest in (name(1), name(2), name(2), on_shelf("fff", 2), name(3))]
    shown.append(seen.Shown(name(4), NOW))
    answers = await db.write_core(lambda connection: run_steps(connection, seen.remember(shown, NOW)))
    assert [isinstance(answer, Unavailable) or answer for answer in answers] == [False, True, False, True, True, False]
    assert isinstance(answers[3], Unavailable)
    assert not await once(db, name(2))


async def test_a_shelf_is_tidied_now_and_then_without_being_full(db: Database) -> None:
    for number in range(64):
        await once(db, on_shelf("abc", number))
    for number in range(64, 128):
        assert await once(db, on_shelf("abc", number), ends_at=NOW + 200, now=NOW + 100)
    assert await remembered(db) == 64


async def test_what_has_ended_makes_room_on_its_own_shelf_only(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "MOST_ON_A_SHELF", 2)
    for digest in (on_shelf("0ff", 1), on_shelf("0ff", 2), on_shelf("100", 1)):
        assert await once(db, digest)
    assert await once(db, on_shelf("0ff", 3), ends_at=NOW + 200, now=NOW + 60)
    assert await remembered(db) == 2


def test_a_hundred_thousand_in_a_minute_find_room() -> None:
    shelves = Counter(name(number)[: seen.SHELF] for number in range(100_000))
    assert max(shelves.values()) < seen.MOST_ON_A_SHELF // 2


@pytest.mark.parametrize(("shelf", "following"), [("000", "001"), ("009", "00a"), ("0ff", "100"), ("fff", "g")])
def test_a_shelf_ends_where_the_next_begins(shelf: str, following: str) -> None:
    assert seen._shelf(shelf + "0" * 61) == (shelf, following)
