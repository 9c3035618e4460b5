"""Another master key takes the place of the one before, while the broker runs; a break at any point leaves every value readable.

The order is the proof. The new key is in the file before anything is sealed with it. Every process looks at the file
before it seals, inside the transaction that stores what it sealed; so once the transactions that were open have ended,
nothing new comes under the old key. Then everything is resealed until a look over all of it finds nothing more. Only
then does the old key leave the file.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.core.errors import CannotStart, Unavailable
from broker.core.handle import Entropy, system_entropy
from broker.store import sealed
from broker.store.database import Database
from broker.store.sealed import Change
from broker.vault.places import EVERY, Sealed
from broker.vault.ring import Ring, read_ring, write_ring
from broker.vault.vault import KEY_BYTES, MasterKey, Vault

BATCH = 200
"""Values a transaction: a server may be waiting for its turn."""
SETTLE_SECONDS = 0.5
"""On PostgreSQL a transaction is not seen there before its first statement, which follows a sealing at once."""


@dataclass(frozen=True, slots=True)
class Rotated:
    key: str
    """The name of the key that seals now."""
    resealed: dict[str, int]
    """How many values, by table."""
    unreadable: tuple[str, ...]
    """What no key of the file opens, and did not before: table and row."""
    kept: int
    """How many earlier keys are still in the file."""


async def add_key(db: Database, path: Path, now: int, entropy: Entropy = system_entropy) -> str:
    """Puts a key into the file that opens and seals not yet; gives its name."""
    ring = read_ring(path)
    if len(ring.every()) > 1:
        raise CannotStart("The master key file holds more than one key already: a rotation has begun.")
    key = entropy(KEY_BYTES)
    await _note(db, now, "vault.key_added", key)
    write_ring(path, Ring(ring.keys, key))
    return MasterKey(key).name


async def rotate(
    db: Database, vault: Vault, path: Path, now: int, *, keep_old: bool, entropy: Entropy = system_entropy
) -> Rotated:
    """Seals everything with the next key, or a new one; a rotation that was broken off is brought to its end instead."""
    ring = read_ring(path)
    if len(ring.keys) == 1:
        key = ring.following or entropy(KEY_BYTES)
        if ring.following is None:
            await _note(db, now, "vault.key_added", key)
        ring = ring.led_by(key)
        write_ring(path, ring)
    return await _finish(db, vault, path, ring, now, keep_old=keep_old)


async def drop_old(db: Database, vault: Vault, path: Path, now: int) -> Rotated:
    """The end of a rotation that kept the earlier keys."""
    ring = read_ring(path)
    if len(ring.keys) == 1:
        raise CannotStart("The master key file holds no earlier key.")
    return await _finish(db, vault, path, ring, now, keep_old=False)


async def _finish(db: Database, vault: Vault, path: Path, ring: Ring, now: int, *, keep_old: bool) -> Rotated:
    if db.is_postgres:
        await asyncio.sleep(SETTLE_SECONDS)
    await sealed.wait_for_earlier_writers(db)
    resealed, unreadable = await reseal_all(db, vault)
    kept = len(ring.keys) - 1 if keep_old else 0
    await _note(db, now, "vault.rotated", ring.keys[0], resealed=resealed.total(), kept=kept)
    if not keep_old:
        write_ring(path, ring.alone())
    return Rotated(MasterKey(ring.keys[0]).name, dict(resealed), unreadable, kept)


async def reseal_all(db: Database, vault: Vault) -> tuple[Counter[str], tuple[str, ...]]:
    """Again and again, until a look over every value finds none under another key but what no key opens."""
    resealed: Counter[str] = Counter()
    while True:
        unreadable: list[str] = []
        tried = 0
        for each in EVERY:
            tried += await _reseal_column(db, vault, each, resealed, unreadable)
        if not tried:
            return resealed, tuple(unreadable)


async def _reseal_column(
    db: Database, vault: Vault, each: Sealed, resealed: Counter[str], unreadable: list[str]
) -> int:
    """How many it tried; one that somebody changed meanwhile is left to the next look."""
    table, after, tried = str(each.column.table.__tablename__), "", 0
    while rows := await _page(db, vault, each, after):
        changes: list[Change] = []
        for row in rows:
            after = getattr(row, each.column.key)
            old = getattr(row, each.column.column)
            try:
                changes.append(Change(after, old, vault.reseal(old, each.place(row))))
            except Unavailable:
                unreadable.append(f"{table} {after}")
        if changes:
            resealed[table] += await _store(db, each, changes)
        tried += len(changes)
    return tried


async def _page(db: Database, vault: Vault, each: Sealed, after: str) -> list[object]:
    mark = vault.mark()
    return list(await db.read(lambda tx: sealed.not_marked(tx, each.column, mark, after, BATCH)))


async def _store(db: Database, each: Sealed, changes: list[Change]) -> int:
    return await db.write(lambda tx: sealed.replace(tx, each.column, changes))


async def _note(db: Database, now: int, event: str, key: bytes, **details: int) -> None:
    async def write(tx: AsyncSession) -> None:
        await record(tx, now, event, OPERATOR, MasterKey(key).name, **details)

    await db.write(write)
