"""Credentials: people's own keys and the operator's, live unless said."""

from collections.abc import Iterable

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.credential import SealedKey
from broker.core.handle import new_id
from broker.store import changes
from broker.store.tables import Credential, User

STORED, ENVIRONMENT = "stored", "environment"


async def load(tx: AsyncSession, credential_id: str) -> Credential | None:
    """Also a removed one: grants go on naming it."""
    return await tx.get(Credential, credential_id)


async def of_user(tx: AsyncSession, user_id: str) -> list[Credential]:
    return await _live(tx, user_id)


async def of_operator(tx: AsyncSession) -> list[Credential]:
    """A stored key goes before the environment's."""
    return sorted(await _live(tx, None), key=lambda row: row.source == ENVIRONMENT)


async def usable(tx: AsyncSession, *, user: User, provider: str, operator_keys: str) -> list[Credential]:
    """What this person may lend for this provider: their own keys, then the operator's where the setting lets them."""
    rows = await of_user(tx, user.id)
    if may_lend_operators(user, operator_keys):
        rows += await of_operator(tx)
    return [row for row in rows if row.provider == provider]


def may_lend_operators(user: User, operator_keys: str) -> bool:
    return operator_keys == "everyone" or (operator_keys == "admins" and user.role == "admin")


async def mark(tx: AsyncSession, seen: SealedKey | Credential, state: str, now: int) -> bool:
    """Notes what the provider said of a key, working or refused, unless the key was replaced since it was seen.

    False when that is no news.
    """
    row = await tx.get(Credential, seen.id)
    if row is None or row.removed_at is not None or row.version != seen.version:
        return False
    is_news = row.state != state
    row.state, row.checked_at = state, now
    return is_news


async def erase(tx: AsyncSession, row: Credential, now: int) -> None:
    row.sealed, row.removed_at = "", now
    await changes.bump(tx)


async def ensure_environment(tx: AsyncSession, providers: Iterable[str], now: int) -> None:
    """Gives each provider with a key in the environment its row; a row that is there keeps its id."""
    known = {row.provider for row in await _live(tx, None) if row.source == ENVIRONMENT}
    for provider in sorted(set(providers) - known):
        tx.add(
            Credential(
                id=new_id("crd"), provider=provider, name="Server key", source=ENVIRONMENT, version=1, created_at=now
            )
        )


async def _live(tx: AsyncSession, user_id: str | None) -> list[Credential]:
    query = select(Credential).where(Credential.user_id == user_id, col(Credential.removed_at).is_(None))
    return list((await tx.exec(query.order_by(col(Credential.created_at), col(Credential.id)))).all())
