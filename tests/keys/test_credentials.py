import json

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.core.secret import Secret
from broker.store import changes, credentials
from broker.store.database import Database
from broker.store.tables import AuditEntry, Credential, User
from broker.vault.credentials import add_credential, find_same, open_credential, remove_credential, replace_credential
from broker.vault.vault import Vault

NOW = 1_795_266_300_000_000
KEY = Secret("sk-proj-aaaaaaaaaaaaaaaa9f2A")
OTHER = Secret("sk-ant-bbbbbbbbbbbbbbbb77Qa")


def _nothing(provider: str) -> None:
    return None


async def _add(
    db: Database, vault: Vault, user: User | None, key: Secret = KEY, provider: str = "openai", name: str = "Personal"
) -> Credential:
    async def work(tx: AsyncSession) -> Credential:
        return await add_credential(
            tx,
            vault,
            provider=provider,
            key=key,
            name=name,
            user_id=user.id if user else None,
            now=NOW,
            by=user.pseudonym if user else "operator",
            state="working",
        )

    return await db.write(work)


async def _load(db: Database, credential_id: str) -> Credential:
    row = await db.read(lambda tx: credentials.load(tx, credential_id))
    assert row is not None
    return row


async def _events(db: Database) -> list[AuditEntry]:
    async def work(tx: AsyncSession) -> list[AuditEntry]:
        return list((await tx.exec(select(AuditEntry))).all())

    return await db.read(work)


async def test_a_key_is_sealed_and_shown_by_prefix_and_last_four_only(db: Database, vault: Vault, ana: User) -> None:
    row = await _load(db, (await _add(db, vault, ana)).id)
    assert KEY.reveal() not in row.model_dump_json()
    assert (row.prefix, row.last_four, row.state, row.checked_at) == ("sk-", "9f2A", "working", NOW)
    assert open_credential(vault, row, _nothing) == KEY


async def test_adding_replacing_and_removing_are_audited_without_the_key(db: Database, vault: Vault, ana: User) -> None:
    added = await _add(db, vault, ana)

    async def change(tx: AsyncSession) -> None:
        row = await credentials.load(tx, added.id)
        assert row is not None
        await replace_credential(tx, vault, row, OTHER, now=NOW, by=ana.pseudonym)
        assert await remove_credential(tx, row, now=NOW, by=ana.pseudonym)

    await db.write(change)
    events = await _events(db)
    assert [entry.event for entry in events] == ["credential.added", "credential.replaced", "credential.removed"]
    assert {entry.actor for entry in events} == {ana.pseudonym}
    assert KEY.reveal() not in json.dumps([entry.model_dump() for entry in events])


async def test_a_replaced_key_takes_the_place_of_the_old_one(db: Database, vault: Vault, ana: User) -> None:
    added = await _add(db, vault, ana)

    async def change(tx: AsyncSession) -> None:
        row = await credentials.load(tx, added.id)
        assert row is not None
        await replace_credential(tx, vault, row, OTHER, now=NOW + 1, by=ana.pseudonym)

    await db.write(change)
    row = await _load(db, added.id)
    assert (row.version, row.prefix, row.last_four, row.state) == (2, "sk-ant-", "77Qa", "unchecked")
    assert open_credential(vault, row, _nothing) == OTHER


async def test_the_sealed_text_of_one_version_does_not_open_as_another(db: Database, vault: Vault, ana: User) -> None:
    row = await _add(db, vault, ana)
    row.version = 2
    with pytest.raises(Unavailable):
        open_credential(vault, row, _nothing)


async def test_a_sealed_text_moved_to_another_owner_does_not_open(db: Database, vault: Vault, ana: User) -> None:
    row = await _add(db, vault, ana)
    row.user_id = None
    with pytest.raises(Unavailable):
        open_credential(vault, row, _nothing)


async def test_a_removed_key_is_erased_and_running_calls_are_told(db: Database, vault: Vault, ana: User) -> None:
    added = await _add(db, vault, ana)
    before = await db.read(changes.count)

    async def remove(tx: AsyncSession) -> bool:
        row = await credentials.load(tx, added.id)
        assert row is not None
        return await remove_credential(tx, row, now=NOW + 5, by=ana.pseudonym)

    assert await db.write(remove)
    row = await _load(db, added.id)
    assert (row.sealed, row.removed_at) == ("", NOW + 5)
    assert open_credential(vault, row, {"openai": OTHER}.get) is None
    assert await db.read(changes.count) == before + 1
    assert not await db.write(remove)


async def test_ones_own_keys_go_before_the_operators_and_stored_before_the_environments(
    db: Database, vault: Vault, ana: User
) -> None:
    await db.write(lambda tx: credentials.ensure_environment(tx, ["openai"], NOW - 1))
    await _add(db, vault, None, OTHER, name="Office")
    await _add(db, vault, ana)
    rows = await db.read(lambda tx: credentials.usable(tx, user=ana, provider="openai", operator_keys="everyone"))
    assert [row.name for row in rows] == ["Personal", "Office", "Server key"]


@pytest.mark.parametrize(
    ("setting", "role", "lent"),
    [("admins", "user", 0), ("admins", "admin", 1), ("everyone", "user", 1), ("nobody", "admin", 0)],
)
async def test_the_setting_decides_who_may_lend_the_operators_keys(
    db: Database, vault: Vault, ana: User, root: User, setting: str, role: str, lent: int
) -> None:
    await _add(db, vault, None)
    user = root if role == "admin" else ana
    rows = await db.read(lambda tx: credentials.usable(tx, user=user, provider="openai", operator_keys=setting))
    assert len(rows) == lent


async def test_nobody_lends_another_persons_key(db: Database, vault: Vault, ana: User, root: User) -> None:
    await _add(db, vault, ana)
    assert (
        await db.read(lambda tx: credentials.usable(tx, user=root, provider="openai", operator_keys="everyone")) == []
    )


async def test_the_environments_row_keeps_its_id_and_never_holds_the_key(db: Database, vault: Vault) -> None:
    await db.write(lambda tx: credentials.ensure_environment(tx, ["openai", "google"], NOW))
    first = await db.read(credentials.of_operator)
    await db.write(lambda tx: credentials.ensure_environment(tx, ["google"], NOW + 1))
    assert await db.read(credentials.of_operator) == first
    row = next(row for row in first if row.provider == "openai")
    assert row.sealed == ""
    assert open_credential(vault, row, {"openai": KEY}.get) == KEY
    assert open_credential(vault, row, {"google": KEY}.get) is None


async def test_the_same_key_is_found_for_its_owner_only(db: Database, vault: Vault, ana: User, root: User) -> None:
    added = await _add(db, vault, ana)

    async def find(tx: AsyncSession) -> list[Credential | None]:
        return [
            await find_same(tx, vault, user_id=ana.id, provider="openai", key=KEY),
            await find_same(tx, vault, user_id=ana.id, provider="openai", key=OTHER),
            await find_same(tx, vault, user_id=root.id, provider="openai", key=KEY),
            await find_same(tx, vault, user_id=None, provider="openai", key=KEY),
        ]

    found = await db.read(find)
    assert [row and row.id for row in found] == [added.id, None, None, None]


async def test_what_a_provider_said_of_an_older_version_is_not_noted(db: Database, vault: Vault, ana: User) -> None:
    seen = await _add(db, vault, ana)

    async def replace_then_mark(tx: AsyncSession) -> None:
        row = await credentials.load(tx, seen.id)
        assert row is not None
        await replace_credential(tx, vault, row, OTHER, now=NOW, by=ana.pseudonym)

    await db.write(replace_then_mark)
    await db.write(lambda tx: credentials.mark(tx, seen, "refused", NOW))
    assert (await _load(db, seen.id)).state == "unchecked"
