"""A rotation of the master key loses no value: broken off anywhere, beside others that seal, on both stores."""

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import CannotStart, Unavailable
from broker.vault.places import (
    EVERY,
)
from broker.vault.ring import read_ring
from broker.vault.rotation import add_key, drop_old, rotate
from broker.vault.vault import Vault
from tests.vault.furnished import NOW, SEALED, Fused, furnish, opened, replace_key, values


def test_every_sealed_column_is_resealed() -> None:
    named = {
        (table.name, column.name)
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if column.name.startswith("sealed")
    }
    listed = {(str(each.column.table.__tablename__), each.column.column) for each in EVERY}
    assert named == listed - {("setting", "value")}


async def test_all_values_open_with_the_new_key_and_none_with_the_old(db: Fused, path: Path) -> None:
    vault = await opened(db, path)
    await furnish(db, vault)
    before, old = await values(db, vault), Vault(read_ring(path).keys[0])
    done = await rotate(db, vault, path, NOW, keep_old=False)
    assert (done.resealed, done.unreadable, done.kept) == (SEALED, (), 0)
    assert await values(db, await opened(db, path)) == before
    assert await values(db, vault) == before
    for each in EVERY:
        assert not await db.read(lambda tx, each=each: _open_with(tx, each, old))  # type: ignore[misc]
    assert len(read_ring(path).keys) == 1
    assert path.stat().st_mode & 0o777 == 0o600


async def _open_with(tx: AsyncSession, each: Any, vault: Vault) -> list[str]:
    found = []
    for row in (await tx.exec(select(each.column.table))).all():
        try:
            found.append(vault.open(getattr(row, each.column.column), each.place(row)).reveal())
        except Unavailable:
            continue
    return found


async def test_what_was_sealed_before_keys_had_names_opens_and_is_resealed(db: Fused, path: Path) -> None:
    vault = await opened(db, path)
    await furnish(db, vault)
    before = await values(db, vault)

    async def as_of_old(tx: AsyncSession) -> None:
        for each in EVERY:
            for row in (await tx.exec(select(each.column.table))).all():
                _, _, rest = getattr(row, each.column.column).partition(".")
                setattr(row, each.column.column, f"v1.{rest}" if rest else getattr(row, each.column.column))
                tx.add(row)

    await db.write(as_of_old)
    assert await values(db, await opened(db, path)) == before
    await rotate(db, vault, path, NOW, keep_old=False)
    assert await values(db, await opened(db, path)) == before


async def test_what_is_derived_stays_the_same_also_where_it_came_from_the_first_master_key(
    db: Fused, path: Path
) -> None:
    vault = await opened(db, path)
    names = vault.derive("pairwise")
    for _ in range(2):
        await rotate(db, vault, path, NOW, keep_old=False)
        assert (await opened(db, path)).derive("pairwise") == names


async def test_a_database_without_a_root_keeps_what_its_master_key_derives(db: Fused, path: Path) -> None:
    await opened(db, path)
    first = Vault(read_ring(path).keys[0]).derive("pairwise")

    async def forget(tx: AsyncSession) -> None:
        from broker.store import facts

        await facts.erase(tx, "vault_root")

    await db.write(forget)
    vault = await opened(db, path)
    assert vault.derive("pairwise") == first
    await rotate(db, vault, path, NOW, keep_old=False)
    assert (await opened(db, path)).derive("pairwise") == first


async def test_a_broker_with_its_own_copy_of_the_file_opens_everything_at_each_step(db: Fused, path: Path) -> None:
    vault = await opened(db, path)
    await furnish(db, vault)
    before, theirs = await values(db, vault), path.with_name("theirs.key")

    def bring() -> None:
        theirs.write_bytes(path.read_bytes())
        theirs.chmod(0o600)

    bring()
    other = await opened(db, theirs)
    await add_key(db, path, NOW)
    bring()
    await rotate(db, vault, path, NOW, keep_old=True)
    assert await values(db, other) == before
    # It has not the second copy yet, and seals with the old key.
    await db.write(lambda tx: replace_key(tx, other, "sk-of-ana"))
    assert await values(db, vault) == before
    bring()
    done = await drop_old(db, vault, path, NOW)
    assert done.resealed == {"credential": 1}
    assert await values(db, other) == before
    bring()
    assert await values(db, await opened(db, theirs)) == before


async def test_a_file_that_cannot_be_replaced_changes_nothing(
    db: Fused, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await opened(db, path)
    await furnish(db, vault)
    before, raw = await values(db, vault), path.read_bytes()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("broker.vault.ring.swap_in", refuse)
    with pytest.raises(CannotStart, match="cannot be replaced"):
        await rotate(db, vault, path, NOW, keep_old=False)
    assert path.read_bytes() == raw
    assert await values(db, vault) == before
