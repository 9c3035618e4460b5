"""What the store says after an answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access as Element
from broker.oauth.issue import granted_details
from broker.store import changes, grant_requests, grants
from broker.store.database import Database
from broker.store.grant_tables import Access, Grant, GrantRequest
from broker.store.ledger_tables import Counter
from broker.store.tables import AuditEntry
from tests.turned_clock import TurnedClock


@dataclass(frozen=True, slots=True)
class Stored:
    """A request and all that its approval made."""

    request: GrantRequest
    grants: list[Grant]
    accesses: list[Access]
    granted: tuple[Element, ...]

    @property
    def only(self) -> Access:
        (access,) = self.accesses
        return access


async def stored(db: Database, request_id: str, clock: TurnedClock) -> Stored:
    async def work(tx: AsyncSession) -> Stored:
        request = await grant_requests.load(tx, request_id)
        assert request is not None
        every = list((await tx.exec(select(Grant))).all())
        if request.grant_id is None:
            return Stored(request, every, [], ())
        accesses = await grants.load_accesses(tx, request.grant_id)
        return Stored(request, every, accesses, await granted_details(tx, request.grant_id, clock()))

    return await db.read(work)


async def spend(db: Database, access: Access, micro: int, requests: int) -> None:
    """As if calls had been settled."""

    async def work(tx: AsyncSession) -> None:
        for measure, amount in (("money", micro), ("requests", requests)):
            query = select(Counter).where(Counter.scope_id == access.id, Counter.measure == measure)
            counter = (await tx.exec(query.order_by(col(Counter.period_start).desc()))).first()
            assert counter is not None
            counter.settled = amount

    await db.write(work)


async def counters(db: Database, access: Access) -> dict[str, tuple[int, int]]:
    """Limit and settled by measure and period."""

    async def work(tx: AsyncSession) -> Sequence[Counter]:
        return (await tx.exec(select(Counter).where(Counter.scope_id == access.id))).all()

    rows = await db.read(work)
    return {f"{row.measure} {row.period_kind}": (row.limit, row.settled) for row in rows}


async def audited(db: Database, event: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Actor, object and details of each entry."""

    async def work(tx: AsyncSession) -> Sequence[AuditEntry]:
        return (await tx.exec(select(AuditEntry).where(AuditEntry.event == event))).all()

    return [(row.actor, row.object_id, json.loads(row.details)) for row in await db.read(work)]


async def change_count(db: Database) -> int:
    """How often something was taken away."""
    return await db.read(changes.count)
