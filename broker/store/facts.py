"""Facts about the whole installation, by name."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import Setting


async def load(tx: AsyncSession, name: str) -> str | None:
    row = await tx.get(Setting, name)
    return None if row is None else row.value


async def save(tx: AsyncSession, name: str, value: str) -> None:
    await tx.merge(Setting(name=name, value=value))


async def erase(tx: AsyncSession, name: str) -> bool:
    """False if it was gone already."""
    row = await tx.get(Setting, name)
    if row is None:
        return False
    await tx.delete(row)
    return True
