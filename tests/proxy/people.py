"""Somebody with a key for each provider, and an app; where the store is a file, they are written once and copied."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.handle import new_id
from broker.core.secret import Secret
from broker.store.database import Database
from broker.store.tables import Client, User
from broker.vault.credentials import add_credential
from tests.canary import KEYS
from tests.kept_folder import KeptFolder
from tests.plain_vault import vault_of_tests
from tests.stores import Store
from tests.turned_clock import NOON


@dataclass(frozen=True, slots=True)
class People:
    user_id: str
    client_id: str
    credentials: dict[str, str]
    """By provider."""

    @classmethod
    async def settle(cls, db: Database) -> Self:
        made = cls(new_id("usr"), new_id("cli"), {})

        async def work(tx: AsyncSession) -> None:
            tx.add(
                User(id=made.user_id, pseudonym="psn_a", email="a@b.c", role="user", password_hash="x", created_at=NOON)
            )
            tx.add(Client(id=made.client_id, name="App", public=1, redirect_uris="[]", verified=1, created_at=NOON))
            await tx.flush()
            for name, key in KEYS.items():
                seal: dict[str, Any] = {"name": "Personal", "user_id": made.user_id, "now": NOON, "by": "x"}
                row = await add_credential(tx, vault_of_tests(), provider=name, key=Secret(key), **seal)
                made.credentials[name] = row.id

        await db.write(work)
        return made


@dataclass(frozen=True, slots=True)
class Peopled:
    """The store of a test that has them already."""

    files: KeptFolder
    people: People

    @classmethod
    def of(cls, store: Store, folder: Path) -> Self:
        async def settled() -> People:
            db = store.open()
            try:
                return await People.settle(db)
            finally:
                await db.close()

        people = asyncio.run(settled())
        return cls(KeptFolder.of(folder), people)
