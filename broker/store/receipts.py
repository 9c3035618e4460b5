"""Consent receipts, by grant."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.grant_tables import ConsentReceipt


async def add(tx: AsyncSession, receipt: ConsentReceipt) -> None:
    tx.add(receipt)
    await tx.flush()


async def load(tx: AsyncSession, grant_id: str, receipt_id: str) -> ConsentReceipt | None:
    receipt = await tx.get(ConsentReceipt, receipt_id)
    return receipt if receipt is not None and receipt.grant_id == grant_id else None


async def newest_of(tx: AsyncSession, grant_id: str, most: int) -> list[ConsentReceipt]:
    query = select(ConsentReceipt).where(ConsentReceipt.grant_id == grant_id)
    newest = query.order_by(col(ConsentReceipt.created_at).desc(), col(ConsentReceipt.id)).limit(most)
    return list((await tx.exec(newest)).all())
