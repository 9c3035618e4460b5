from collections.abc import AsyncIterator

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.database import Database
from broker.store.tables import User
from broker.vault.vault import Vault
from tests.stores import Store

NOW = 1_795_266_300_000_000


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    database = store.open()
    yield database
    await database.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(b"m" * 32)


@pytest.fixture
async def ana(db: Database) -> User:
    return await _user(db, "ana", "user")


@pytest.fixture
async def root(db: Database) -> User:
    return await _user(db, "root", "admin")


async def _user(db: Database, name: str, role: str) -> User:
    user = User(
        id=f"usr_{name}",
        pseudonym=f"person_{name}",
        email=f"{name}@example.com",
        role=role,
        password_hash="-",
        created_at=NOW,
    )

    async def work(tx: AsyncSession) -> None:
        tx.add(user)

    await db.write(work)
    return user
