"""The limit of one user on one key, as its owner or the operator sets it, and the audit trail keeps it."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.ledger.overall_limits import Terms, remove_limit, set_limit


async def save_key_limit(
    tx: AsyncSession, now: int, scope_id: str, terms: Terms | None, *, by: str, user: str = ""
) -> None:
    """None takes it away. `user` is the pseudonym of one of several users of the key."""
    credential_id = scope_id.partition("/")[2]
    if terms is None:
        await remove_limit(tx, "credential", scope_id, now)
        await record(tx, now, "credential.unlimited", by, credential_id, user=user)
        return
    await set_limit(tx, "credential", scope_id, terms, now)
    figures = {"budget": terms.budget, "requests": terms.max_requests, "per": terms.per}
    await record(tx, now, "credential.limited", by, credential_id, user=user, **figures)
