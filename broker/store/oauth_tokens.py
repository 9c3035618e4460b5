"""Tokens of providers' authorization servers: who refreshes one now, and who is on the way to connect one."""

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import Credential
from broker.store.token_tables import OAuthConnect, OAuthToken, ProviderOAuth

GIVEN_UP = "refused"
"""In the place of a lease, of a token that its server will not refresh any more."""


async def settings_of(tx: AsyncSession, provider: str) -> ProviderOAuth | None:
    return await tx.get(ProviderOAuth, provider)


async def providers(tx: AsyncSession) -> list[str]:
    """The names of those that people can connect to."""
    return list((await tx.exec(select(ProviderOAuth.provider).order_by(ProviderOAuth.provider))).all())


async def token_of(tx: AsyncSession, credential_id: str) -> OAuthToken | None:
    return await tx.get(OAuthToken, credential_id, populate_existing=True)


async def expiring(tx: AsyncSession, before: int, now: int) -> list[Credential]:
    """Those whose access token ends before an instant, that can be refreshed, and that nobody refreshes now."""
    query = (
        select(Credential)
        .join(OAuthToken, col(OAuthToken.credential_id) == col(Credential.id))
        .where(OAuthToken.expires_at <= before, OAuthToken.lease_ends_at <= now)
        .where(col(Credential.removed_at).is_(None), OAuthToken.lease != GIVEN_UP)
    )
    return list((await tx.exec(query.limit(100))).all())


async def claim(tx: AsyncSession, credential_id: str, lease: str, now: int, until: int) -> bool:
    """Whether it is this one's turn to refresh it, until then: the check is the write."""
    free = update(OAuthToken).where(
        col(OAuthToken.credential_id) == credential_id, col(OAuthToken.lease_ends_at) <= now
    )
    return bool((await tx.exec(free.values(lease=lease, lease_ends_at=until))).rowcount)


async def give_back(tx: AsyncSession, credential_id: str, lease: str, expires_at: int | None = None) -> bool:
    """Ends a turn, with the end of the new access token if there is one; False when it was another's turn meanwhile."""
    ours = update(OAuthToken).where(col(OAuthToken.credential_id) == credential_id, col(OAuthToken.lease) == lease)
    values: dict[str, str | int] = {"lease": "", "lease_ends_at": 0}
    if expires_at is not None:
        values["expires_at"] = expires_at
    return bool((await tx.exec(ours.values(**values))).rowcount)


async def give_up(tx: AsyncSession, credential_id: str, lease: str) -> None:
    """The refresh token is worth nothing: nobody tries it again."""
    ours = update(OAuthToken).where(col(OAuthToken.credential_id) == credential_id, col(OAuthToken.lease) == lease)
    await tx.exec(ours.values(lease=GIVEN_UP, lease_ends_at=0))


async def forget(tx: AsyncSession, credential_id: str) -> None:
    """It is a key from now on, or nothing."""
    await tx.exec(delete(OAuthToken).where(col(OAuthToken.credential_id) == credential_id))


async def begin_connect(tx: AsyncSession, row: OAuthConnect, now: int) -> None:
    await tx.exec(delete(OAuthConnect).where(col(OAuthConnect.ends_at) <= now))
    tx.add(row)
    await tx.flush()


async def take_connect(tx: AsyncSession, digest: str) -> OAuthConnect | None:
    """Once: who takes it has it alone."""
    row = await tx.get(OAuthConnect, digest)
    if row is None:
        return None
    gone = await tx.exec(delete(OAuthConnect).where(col(OAuthConnect.digest) == digest))
    return row if gone.rowcount else None
