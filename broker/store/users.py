"""People with an account."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import User


async def load(tx: AsyncSession, user_id: str) -> User | None:
    return await tx.get(User, user_id)


async def by_email(tx: AsyncSession, email: str) -> User | None:
    """`email` in lower case, as it is stored."""
    return (await tx.exec(select(User).where(User.email == email))).first()


async def any_user(tx: AsyncSession) -> bool:
    return (await tx.exec(select(User.id).limit(1))).first() is not None


async def any_admin(tx: AsyncSession) -> bool:
    return (await tx.exec(select(User.id).where(User.role == "admin").limit(1))).first() is not None


async def listed(tx: AsyncSession) -> list[User]:
    """In order of their making."""
    return list((await tx.exec(select(User).order_by(col(User.created_at), col(User.email)))).all())
