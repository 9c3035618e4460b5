"""The audit trail: nothing in it can be changed, added or removed without being found."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit import verify
from broker.audit.chain import BadHead, Entry, Head, Walk, head_of, next_entry, read_head
from broker.audit.record import entry, record, record_each
from broker.core.errors import Unavailable
from broker.store.database import Database
from broker.store.steps import run_steps
from tests.stores import Store


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    opened = store.open()
    yield opened
    await opened.close()


def trail(length: int) -> list[Entry]:
    entries, head = [], Head()
    for at in range(length):
        entries.append(next_entry(head, at, "grant.revoked", "usr", f"grt_{at}", '{"a":1}'))
        head = head_of(entries[-1])
    return entries


def fault(entries: list[Entry], wanted: Head | None = None) -> str:
    walk = Walk(wanted=wanted)
    walk.follow(entries)
    return walk.ended()


def test_a_whole_trail_holds_and_an_empty_one_too() -> None:
    assert fault(trail(5)) == fault([]) == ""


CHANGES = st.sampled_from(
    [{"at": 99}, {"event": "x.y"}, {"actor": "z"}, {"object_id": ""}, {"details": "{}"}, {"digest": "0" * 64}]
)


@given(st.integers(1, 8), st.data())
def test_a_changed_entry_is_found(length: int, data: st.DataObject) -> None:
    entries = trail(length)
    place = data.draw(st.integers(0, length - 1))
    entries[place] = entries[place]._replace(**data.draw(CHANGES))  # type: ignore[arg-type]
    assert fault(entries) == f"Entry {place + 1} is not what was recorded, or one before it is not."


@given(st.integers(2, 8), st.data())
def test_an_entry_that_is_gone_doubled_or_out_of_place_is_found(length: int, data: st.DataObject) -> None:
    entries = trail(length)
    place = data.draw(st.integers(0, length - 2))
    spoiled = data.draw(
        st.sampled_from(
            [
                entries[:place] + entries[place + 1 :],
                entries[: place + 1] + entries[place:],
                [*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :]],
                [*entries[:place], next_entry(head_of(entries[place]), 1, "a.b", "c", "d", "{}"), *entries[place:]],
            ]
        )
    )
    assert fault(spoiled)


def test_a_trail_cut_at_its_end_is_found_by_a_head_that_was_kept() -> None:
    entries = trail(5)
    kept = head_of(entries[-1])
    assert fault(entries, kept) == ""
    assert fault(entries[:4]) == ""
    assert fault(entries[:4], kept) == "Entry 5 is missing: the trail ends at 4."


def test_a_trail_made_anew_from_an_entry_on_is_found_by_a_head_that_was_kept() -> None:
    entries = trail(5)
    anew = entries[:3]
    for _ in range(4):
        anew.append(next_entry(head_of(anew[-1]), 7, "a.b", "c", "d", "{}"))
    assert fault(anew) == ""
    assert fault(anew, head_of(entries[-1])) == "Entry 5 is not the one whose digest was kept."


def test_a_head_is_read_as_it_is_printed() -> None:
    head = head_of(trail(3)[-1])
    assert read_head(f" {head}\n") == head


@pytest.mark.parametrize("text", ["", "3", "3:", ":" + "a" * 64, "x:" + "a" * 64, "3:" + "A" * 64, "3:" + "a" * 63])
def test_other_text_is_no_head(text: str) -> None:
    with pytest.raises(BadHead):
        read_head(text)


async def test_what_is_recorded_in_any_way_makes_one_trail(db: Database) -> None:
    async def work(tx: AsyncSession) -> None:
        await record(tx, 1, "user.added", "operator", "usr_1", role="user", verified=True, note=None)
        await record_each(tx, 2, "grant.paused", "usr", ["grt_1", "grt_2"])
        await record_each(tx, 2, "grant.paused", "usr", [])
        await run_steps(await tx.connection(), entry(3, "grant.frozen", "system", "grt_1", {"overrun": 7}))

    await db.write(work)
    await db.write(lambda tx: record(tx, 4, "a.b", "ü\ud7ff", "c\N{GRINNING FACE}"))
    verdict = await verify.verify(db)
    assert str(verdict).startswith("OK: 5 entries, head 5:")
    assert (await verify.verify(db, verdict.head)).fault == ""
    assert "missing" in (await verify.verify(db, replace(verdict.head, seq=6))).fault


async def test_what_was_undone_leaves_no_gap(db: Database) -> None:
    async def undone(tx: AsyncSession) -> None:
        await record(tx, 1, "user.added", "operator", "usr_1")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await db.write(undone)
    await db.write(lambda tx: record(tx, 2, "user.added", "operator", "usr_2"))
    assert str(await verify.verify(db)).startswith("OK: 1 entry,")


async def test_two_that_record_at_once_make_one_trail(store: Store, db: Database) -> None:
    other = store.open()

    async def some(through: Database) -> None:
        for at in range(10):
            await through.write(lambda tx, at=at: record(tx, at, "a.b", "c", "d"))  # type: ignore[misc]

    await asyncio.gather(some(db), some(other))
    await other.close()
    assert str(await verify.verify(db)).startswith("OK: 20 entries")


@pytest.mark.parametrize("change", ["UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry"])
async def test_the_database_itself_refuses_to_change_an_entry(db: Database, change: str) -> None:
    await db.write(lambda tx: record(tx, 1, "a.b", "c", "d"))

    async def spoil(tx: AsyncSession) -> None:
        await (await tx.connection()).execute(text(change))

    with pytest.raises((Unavailable, DBAPIError)):
        await db.write(spoil)
    assert str(await verify.verify(db)).startswith("OK: 1 entry,")


async def test_a_trail_longer_than_a_page_is_followed_to_its_end(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "AT_A_TIME", 3)
    await db.write(lambda tx: record_each(tx, 2, "grant.paused", "usr", [f"grt_{place}" for place in range(10)]))
    assert str(await verify.verify(db)).startswith("OK: 10 entries")
