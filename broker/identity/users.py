"""Makes and disables accounts."""

import re

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.errors import BrokerError
from broker.core.handle import Entropy, new_id, system_entropy
from broker.store import changes, sessions, users
from broker.store.tables import User

MOST_EMAIL = 254
"""RFC 5321 §4.5.3.1.3: what fits between the angle brackets of a path."""

_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,188}[a-z0-9])?")


class EmailTaken(BrokerError):
    description = "A user with that email exists already."


def read_email(text: str) -> str | None:
    """The address as it is stored, in lower case; None for what is no address."""
    email = text.strip().lower()
    return email if len(email) <= MOST_EMAIL and _EMAIL.fullmatch(email) else None


async def add_user(
    tx: AsyncSession,
    now: int,
    email: str,
    password_hash: str,
    role: str = "user",
    *,
    actor: str = "",
    entropy: Entropy = system_entropy,
) -> User:
    """`email` as read_email gives it; without an `actor` people made their account themselves. Raises EmailTaken."""
    if await users.by_email(tx, email) is not None:
        raise EmailTaken
    user = User(
        id=new_id("usr", entropy),
        pseudonym=new_id("psn", entropy),
        email=email,
        role=role,
        password_hash=password_hash,
        created_at=now,
    )
    tx.add(user)
    await tx.flush()
    await record(tx, now, "user.added", actor or user.pseudonym, user.id, role=role)
    return user


async def disable_user(tx: AsyncSession, now: int, user: User, actor: str) -> bool:
    """Ends the user's sessions and, within two seconds, running calls; False if it was disabled already."""
    if user.disabled_at is not None:
        return False
    user.disabled_at = now
    tx.add(user)
    await sessions.end_of_user(tx, user.id)
    await changes.bump(tx)
    await record(tx, now, "user.disabled", actor, user.id)
    return True
