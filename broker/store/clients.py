"""Registered clients."""

from sqlalchemy import ColumnElement, delete, func, update
from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY
from broker.store import changes
from broker.store.grant_tables import Grant, GrantRequest
from broker.store.tables import Client


async def load(tx: AsyncSession, client_id: str) -> Client | None:
    """None also for one that was removed."""
    client = await tx.get(Client, client_id)
    return None if client is None or client.removed_at is not None else client


async def load_any(tx: AsyncSession, client_id: str) -> Client | None:
    """As it stands, also one that was removed."""
    return await tx.get(Client, client_id)


async def all_live(tx: AsyncSession) -> list[Client]:
    query = select(Client).where(col(Client.removed_at).is_(None)).order_by(col(Client.created_at))
    return list((await tx.exec(query)).all())


async def with_text(tx: AsyncSession, text: str) -> list[Client]:
    """Live clients with this text, in lower case, among their redirect addresses or origins."""
    said = [func.lower(column).contains(text, autoescape=True) for column in (Client.redirect_uris, Client.origins)]
    return list((await tx.exec(select(Client).where(col(Client.removed_at).is_(None), or_(*said)))).all())


async def add(tx: AsyncSession, client: Client) -> None:
    tx.add(client)
    await tx.flush()


async def remove(tx: AsyncSession, client_id: str, now: int) -> bool:
    """Its tokens are dead from the next call on; False if it was gone already."""
    done = await tx.exec(
        update(Client).where(col(Client.id) == client_id, col(Client.removed_at).is_(None)).values(removed_at=now)
    )
    if done.rowcount != 1:
        return False
    await changes.bump(tx)
    return True


async def used(tx: AsyncSession, client_id: str, now: int) -> None:
    """Says to the day when it last came with something that was right."""
    used_at = col(Client.used_at)
    stale = or_(used_at.is_(None), used_at <= now - DAY)
    await tx.exec(update(Client).where(col(Client.id) == client_id, stale).values(used_at=now))


async def make_room(tx: AsyncSession, source: str, *, old: int, ripe: int, most: int) -> bool:
    """Deletes the clients of this source that were made until `old` and that nobody was ever asked for.

    Where more than that stand, the oldest go, too, but those that were made after `ripe`: False if they are all there are.
    """
    unused = and_(_without_trace(source), col(Client.used_at).is_(None), col(Client.removed_at).is_(None))
    await tx.exec(delete(Client).where(unused, col(Client.created_at) <= old))
    if source == "registration":  # one with a document would come back, and the operator removed it for good
        await tx.exec(delete(Client).where(_without_trace(source), col(Client.removed_at).is_not(None)))
    over = int((await tx.exec(select(func.count()).select_from(Client).where(unused))).one()) - most + 1
    if over <= 0:
        return True
    oldest = select(Client.id).where(unused, Client.created_at <= ripe).order_by(col(Client.created_at)).limit(over)
    done = await tx.exec(delete(Client).where(col(Client.id).in_(oldest)))
    return bool(done.rowcount == over)


def _without_trace(source: str) -> ColumnElement[bool]:
    asked = select(GrantRequest.id).where(GrantRequest.client_id == Client.id).exists()
    given = select(Grant.id).where(Grant.client_id == Client.id).exists()
    return and_(col(Client.source) == source, ~asked, ~given)
