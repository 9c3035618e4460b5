"""The one door by which a security event enters the audit trail."""

import json

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import AuditEntry

Details = dict[str, str | int | bool | None]

_ENTRY = SQLModel.metadata.tables[str(AuditEntry.__tablename__)]

OPERATOR = "operator"
SYSTEM = "system"


async def record(
    tx: AsyncSession, now: int, event: str, actor: str, object_id: str, **details: str | int | bool | None
) -> None:
    """Appends one entry in the transaction of the change it records, so that both are there or neither.

    `event` is noun.verb, such as grant.revoked; `actor` a pseudonym, a client id, OPERATOR or SYSTEM.
    Details hold no secret and name no person.
    """
    await record_core(await tx.connection(), now, event, actor, object_id, details)


async def record_core(
    connection: AsyncConnection, now: int, event: str, actor: str, object_id: str, details: Details
) -> None:
    """As `record`, for code that works without an ORM session."""
    text = json.dumps(details, sort_keys=True, separators=(",", ":"))
    values = {"at": now, "event": event, "actor": actor, "object_id": object_id, "details": text}
    await connection.execute(insert(_ENTRY).values(values))
