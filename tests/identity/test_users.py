"""Accounts are made once an address, and a disabled one is shut out everywhere."""

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.identity.users import EmailTaken, add_user, disable_user, read_email
from broker.store import changes, sessions, users
from broker.store.database import Database
from broker.store.tables import AuditEntry
from tests.turned_clock import NOON


@pytest.mark.parametrize(
    ("typed", "email"),
    [(" Ana@Example.COM ", "ana@example.com"), ("a+b@x.y", "a+b@x.y"), ("a@localhost", "a@localhost")],
)
def test_an_address_is_kept_in_lower_case(typed: str, email: str) -> None:
    assert read_email(typed) == email


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ana",
        "@x",
        "a@",
        "a b@x.y",
        "a@x@y",
        "a@x.y\nbcc",
        "a\x00@x.y",
        "a" * 65 + "@x.y",
        "a@" + "x" * 300,
        "a@x..",
        "a@ü.de",
    ],
)
def test_other_text_is_no_address(typed: str) -> None:
    assert read_email(typed) is None


async def test_an_address_belongs_to_one_user(db: Database) -> None:
    await db.write(lambda tx: add_user(tx, NOON, "ana@example.com", "-"))
    with pytest.raises(EmailTaken):
        await db.write(lambda tx: add_user(tx, NOON, "ana@example.com", "-", "admin"))
    assert [user.role for user in await db.read(users.listed)] == ["user"]


async def test_the_trail_names_people_by_pseudonym(db: Database) -> None:
    user = await db.write(lambda tx: add_user(tx, NOON, "ana@example.com", "-", "admin", actor="operator"))

    async def entries(tx: AsyncSession) -> list[AuditEntry]:
        return list((await tx.exec(select(AuditEntry))).all())

    (entry,) = await db.read(entries)
    assert (entry.event, entry.actor, entry.object_id) == ("user.added", "operator", user.id)
    assert "ana" not in repr(entry)


async def test_disabling_a_user_ends_sessions_and_tells_the_workers(db: Database) -> None:
    user = await db.write(lambda tx: add_user(tx, NOON, "ana@example.com", "-"))
    await db.write(lambda tx: sessions.add(tx, "digest", user.id, NOON, NOON + 10**12))
    before = await db.read(changes.count)
    assert await db.write(lambda tx: disable_user(tx, NOON, user, "operator"))
    assert await db.read(lambda tx: sessions.find(tx, "digest", NOON, 10**12)) is None
    assert await db.read(changes.count) == before + 1
    stored = await db.read(lambda tx: users.load(tx, user.id))
    assert stored is not None
    assert stored.disabled_at == NOON
    assert not await db.write(lambda tx: disable_user(tx, NOON, stored, "operator"))
