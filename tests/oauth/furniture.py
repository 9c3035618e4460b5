"""What every world begins with, made by the program once: its signing keys, a person, and a key of theirs.

They are written to each store as the rows they were: to make and to seal them took as long as many a test.
"""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from broker.oauth.signing import Signer
from broker.oauth.signing_keys import KeyRing, load_keys, make_missing_keys
from broker.settings import Settings
from broker.store.database import Database, sqlite_url
from tests.oauth.world import TurnedClock, people
from tests.plain_vault import vault_of_tests

TABLES = ("signing_key", "user", "credential")


@dataclass(frozen=True, slots=True)
class Furniture:
    keys: KeyRing
    user_id: str
    credential_id: str
    rows: str
    """As statements that either store takes."""

    @classmethod
    def made_in(cls, folder: Path, settings: Settings) -> Self:
        """Where a migrated database lies."""
        keys, (user_id, credential_id) = asyncio.run(_made(folder, settings))
        with closing(sqlite3.connect(folder / "broker.db")) as file:
            rows = [row for table in TABLES for row in _statements(file, table)]
        return cls(keys, user_id, credential_id, ";".join(rows))

    def signer(self, settings: Settings) -> Signer:
        where = {"issuer": settings.public_url, "resource": settings.resource}
        return Signer(self.keys, subject_key=vault_of_tests().derive("pairwise"), **where)


async def _made(folder: Path, settings: Settings) -> tuple[KeyRing, tuple[str, str]]:
    db, vault, now = Database(sqlite_url(folder)), vault_of_tests(), TurnedClock().now
    try:
        await db.write(lambda tx: make_missing_keys(tx, vault, now, settings))
        somebody = await db.write(lambda tx: people(tx, now))
        return await db.read(lambda tx: load_keys(tx, vault, now)), somebody
    finally:
        await db.close()


def _statements(file: sqlite3.Connection, table: str) -> list[str]:
    names = [f'"{name}"' for _, name, *_ in file.execute(f'PRAGMA table_info("{table}")')]
    values = " || ',' || ".join(f"quote({name})" for name in names)
    begins = f'INSERT INTO "{table}" ({",".join(names)}) VALUES ('
    return [f"{begins}{row})" for (row,) in file.execute(f'SELECT {values} FROM "{table}"')]
