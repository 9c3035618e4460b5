"""What an older database that was put in the place of another must not bring to life again: all that was given out from it."""

from typing import NamedTuple

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import RequestState
from broker.store import changes
from broker.store.grant_tables import AccessToken, Code, Device, GrantRequest, RefreshToken, TokenFamily
from broker.store.tables import Session


class Ended(NamedTuple):
    """How many of each ended."""

    access_tokens: int
    refresh_tokens: int
    sessions: int


async def end_what_was_given_out(tx: AsyncSession, now: int) -> Ended:
    """Tokens that were revoked or rotated since, codes and requests that were used, sessions that were left: none can be told apart."""
    access_tokens = await tx.exec(
        update(AccessToken)
        .where(col(AccessToken.revoked_at).is_(None), col(AccessToken.ends_at) > now)
        .values(revoked_at=now)
    )
    refresh_tokens = await tx.exec(
        update(RefreshToken)
        .where(col(RefreshToken.successor) == "", col(RefreshToken.ends_at) > now)
        .values(ends_at=now)
    )
    await tx.exec(update(TokenFamily).where(col(TokenFamily.revoked_at).is_(None)).values(revoked_at=now))
    for given in (Code, Device):
        await tx.exec(update(given).where(col(given.ends_at) > now).values(ends_at=now))
    pending = col(GrantRequest.state) == RequestState.PENDING.value
    await tx.exec(update(GrantRequest).where(pending, col(GrantRequest.ends_at) > now).values(ends_at=now))
    sessions = await tx.exec(delete(Session))
    await changes.bump(tx)
    return Ended(access_tokens.rowcount, refresh_tokens.rowcount, sessions.rowcount)
