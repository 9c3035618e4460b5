"""The one door by which a security event enters the audit trail."""

import json
from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.chain import Head, head_of, next_entry
from broker.store.steps import Statement, Steps, inserting, reading, run_steps

Details = dict[str, str | int | bool | None]

IN_ORDER = 0x61756469
"""The key of the advisory lock of PostgreSQL that is held from reading the last entry to COMMIT."""

_TURN = Statement("SELECT 0", f"SELECT pg_advisory_xact_lock({IN_ORDER})", reads=True)
_LAST = reading("SELECT seq, digest FROM audit_entry ORDER BY seq DESC LIMIT 1", "")
_COLUMNS = ("seq", "at", "event", "actor", "object_id", "details", "digest")
_APPEND = inserting("audit_entry", _COLUMNS, "nnttttt")

OPERATOR = "operator"
SYSTEM = "system"


async def record(
    tx: AsyncSession, now: int, event: str, actor: str, object_id: str, **details: str | int | bool | None
) -> None:
    """Appends one entry in the transaction of the change it records, so that both are there or neither.

    `event` is noun.verb, such as grant.revoked; `actor` a pseudonym, a client id, OPERATOR or SYSTEM.
    Details hold no secret and name no person.
    """
    await run_steps(await tx.connection(), entry(now, event, actor, object_id, details))


async def record_each(tx: AsyncSession, now: int, event: str, actor: str, object_ids: Sequence[str]) -> None:
    """As `record` of each of these."""
    if object_ids:
        await run_steps(await tx.connection(), _entries(now, event, actor, object_ids, _text({})))


def entry(now: int, event: str, actor: str, object_id: str, details: Details) -> Steps[None]:
    """As `record`, for a transaction that is made of steps."""
    yield from _entries(now, event, actor, [object_id], _text(details))


def _entries(now: int, event: str, actor: str, object_ids: Sequence[str], details: str) -> Steps[None]:
    # SQLite has one writer; on PostgreSQL the last entry must stay the last one until this transaction is committed.
    yield _TURN, [()]
    last = yield _LAST, [()]
    head, added = Head(*last[0]) if last else Head(), []
    for object_id in object_ids:
        added.append(next_entry(head, now, event, actor, object_id, details))
        head = head_of(added[-1])
    yield _APPEND, added


def _text(details: Details) -> str:
    return json.dumps(details, sort_keys=True, separators=(",", ":"))
