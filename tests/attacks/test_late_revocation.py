"""A revocation between a call's reservation and its first moment as a running call must still end it."""

from dataclasses import dataclass, field

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import CallRefused
from broker.core.grant import GrantEvent
from broker.ledger.judge import Demand
from broker.ledger.lease import Lease
from broker.proxy.running import Running
from broker.store import grants
from broker.store.grant_tables import Access, Grant
from tests.books.world import demand
from tests.proxy.world import World


@dataclass
class FakeCall:
    jti: str
    access_id: str
    demand: Demand
    ends_at: int
    changes: int = 0
    credential_id: str = ""
    cuts: list[str] = field(default_factory=list)

    def cut(self, why: CallRefused) -> None:
        self.cuts.append(why.code)


async def test_a_call_that_a_look_has_missed_is_cut_by_the_next(world: World) -> None:
    token = await world.token()
    lease = Lease(world.db, world.clock, lambda: 0.0, 30)
    await lease.take()
    running = Running(world.db, world.clock, lease)
    access = await world.db.read(_access)
    call = FakeCall(token, access.id, demand(), access.ends_at)

    async def revoke(tx: AsyncSession) -> None:
        grant = (await tx.exec(select(Grant))).one()
        await grants.move(tx, grant.id, GrantEvent.REVOKE, world.clock())

    await world.db.write(revoke)
    assert await running.look()
    running.add("res_late", call)
    assert not await running.look()
    assert call.cuts == ["invalid_token"]
    await running.look()
    assert call.cuts == ["invalid_token"]


async def _access(tx: AsyncSession) -> Access:
    return (await tx.exec(select(Access))).one()
