"""The one door by which a security event enters the audit trail."""

import json
from collections.abc import Sequence

from sqlalchemy import insert
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.steps import Steps, inserting
from broker.store.tables import AuditEntry

Details = dict[str, str | int | bool | None]

_ENTRY = SQLModel.metadata.tables[str(AuditEntry.__tablename__)]
_APPEND = inserting(_ENTRY.name, ("at", "event", "actor", "object_id", "details"), "ntttt")

OPERATOR = "operator"
SYSTEM = "system"


async def record(
    tx: AsyncSession, now: int, event: str, actor: str, object_id: str, **details: str | int | bool | None
) -> None:
    """Appends one entry in the transaction of the change it records, so that both are there or neither.

    `event` is noun.verb, such as grant.revoked; `actor` a pseudonym, a client id, OPERATOR or SYSTEM.
    Details hold no secret and name no person.
    """
    values = {"at": now, "event": event, "actor": actor, "object_id": object_id, "details": _text(details)}
    await (await tx.connection()).execute(insert(_ENTRY).values(values))


async def record_each(tx: AsyncSession, now: int, event: str, actor: str, object_ids: Sequence[str]) -> None:
    """As `record` of each of these, in one statement."""
    of_all = {"at": now, "event": event, "actor": actor, "details": _text({})}
    if object_ids:
        connection = await tx.connection()
        await connection.execute(insert(_ENTRY), [of_all | {"object_id": object_id} for object_id in object_ids])


def entry(now: int, event: str, actor: str, object_id: str, details: Details) -> Steps[None]:
    """As `record`, for a transaction that is made of steps."""
    yield _APPEND, [(now, event, actor, object_id, _text(details))]


def _text(details: Details) -> str:
    return json.dumps(details, sort_keys=True, separators=(",", ":"))
