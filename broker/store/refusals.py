"""Calls refused with a valid token, for their owner to see."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.handle import new_id
from broker.store.ledger_tables import Refusal


async def add(tx: AsyncSession, *, grant_id: str, at: int, provider: str, model: str, code: str) -> None:
    tx.add(Refusal(id=new_id("ref"), grant_id=grant_id, at=at, provider=provider, model=model, code=code))
