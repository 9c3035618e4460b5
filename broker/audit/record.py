"""The one door by which a security event enters the audit trail."""

import json

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import AuditEntry

OPERATOR = "operator"
SYSTEM = "system"


async def record(
    tx: AsyncSession, now: int, event: str, actor: str, object_id: str, **details: str | int | bool | None
) -> None:
    """Appends one entry in the transaction of the change it records, so that both are there or neither.

    `event` is noun.verb, such as grant.revoked; `actor` a pseudonym, a client id, OPERATOR or SYSTEM.
    Details hold no secret and name no person.
    """
    text = json.dumps(details, sort_keys=True, separators=(",", ":"))
    tx.add(AuditEntry(at=now, event=event, actor=actor, object_id=object_id, details=text))
