"""Credentials that rest: which, why, and until when."""

from collections.abc import Iterable

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.credential import SealedKey
from broker.store.pool_tables import Quarantine
from broker.store.steps import Statement, Steps, inserting
from broker.store.tables import Credential

_NEW = inserting("quarantine", ("credential_id", "version", "cause", "since", "until"), "tntnn")
_OR_LONGER = (
    " ON CONFLICT (credential_id) DO UPDATE SET version = excluded.version, cause = excluded.cause, "
    "since = excluded.since, until = excluded.until "
    "WHERE excluded.version > quarantine.version OR excluded.until > quarantine.until"
)
_REST = Statement(_NEW.sqlite + _OR_LONGER, _NEW.postgresql + _OR_LONGER)


def rest(key: SealedKey, cause: str, until: int, now: int) -> Steps[None]:
    """Lets a credential rest; one that rests longer already goes on doing so."""
    yield _REST, [(key.id, key.version, cause, now, until)]


async def of(tx: AsyncSession, rows: Iterable[Credential], now: int) -> dict[str, Quarantine]:
    """By credential id, for those of these that rest now."""
    versions = {row.id: row.version for row in rows}
    query = select(Quarantine).where(col(Quarantine.credential_id).in_(versions), Quarantine.until > now)
    return {each.credential_id: each for each in await tx.exec(query) if each.version == versions[each.credential_id]}


async def end(tx: AsyncSession, credential_id: str) -> None:
    """It is tried again with the next call."""
    await tx.exec(delete(Quarantine).where(col(Quarantine.credential_id) == credential_id))
