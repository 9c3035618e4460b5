"""Reserve: every limit is judged by the write that takes from it, and the hold is durable before a byte leaves."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from broker.core.clock import Clock
from broker.core.errors import CallRefused, Unavailable
from broker.core.handle import Entropy, new_id, system_entropy
from broker.core.money import MicroUSD
from broker.core.strict_json import dumps
from broker.core.usage import Price
from broker.ledger.charges import Charge, charges_of, exhausted, money_left, take
from broker.ledger.judge import Demand, Plan, check_state, covering, foremost, plan
from broker.ledger.keys import CounterKey, dump_keys
from broker.ledger.lease import Lease
from broker.ledger.rates import RateLeft, insert_within_rates, rate_left, too_fast
from broker.ledger.settle import Ending, settle
from broker.ledger.standing import Standing, load_standing
from broker.store.database import Database
from broker.store.tables import Credential


@dataclass(frozen=True, slots=True)
class Reservation:
    """A durable hold; what is settled against it was fixed here."""

    id: str
    jti: str
    grant_id: str
    access_id: str
    credential: Credential
    hold: MicroUSD
    output_max: int
    price: Price
    charged: tuple[CounterKey, ...]
    money_left: MicroUSD
    """Of the tightest money counter, once this hold is taken."""
    money_held: MicroUSD
    admitted_at: int
    ends_at: int
    """When the access ends, whatever still runs."""
    rate: RateLeft | None = None


_LAPSED = Ending("not_run", "unavailable", reached=False)


class Reserver:
    """Takes holds, one transaction each; a refused call leaves no trace in any limit."""

    def __init__(self, db: Database, clock: Clock, lease: Lease, entropy: Entropy = system_entropy) -> None:
        self._db = db
        self._clock = clock
        self._lease = lease
        self._entropy = entropy

    async def __call__(self, jti: str, demand: Demand) -> Reservation:
        """Raises CallRefused, or Unavailable when the books cannot answer."""
        self._lease.require()

        async def work(connection: AsyncConnection) -> Reservation:
            return await self._reserve(connection, jti, demand)

        reservation = await self._db.write_core(work)
        await self._require_still(reservation.id)
        return reservation

    async def _require_still(self, reservation_id: str) -> None:
        """The wait for the writer may have outlasted the lease: then nothing may be forwarded, and nothing is."""
        if not self._lease.is_good:
            await self._db.write_core(lambda connection: settle(connection, reservation_id, _LAPSED, self._clock()))
            self._lease.require()

    async def _reserve(self, connection: AsyncConnection, jti: str, demand: Demand) -> Reservation:
        now = self._clock()
        if not await self._lease.stands(connection, now):
            raise Unavailable(detail="the lease of this worker has ended in the books")
        standing = check_state(await load_standing(connection, jti, now))
        found = [(a, await charges_of(connection, standing, a, now)) for a in covering(standing, demand)]
        tries = [(allowance, charges, plan(allowance, demand, None)) for allowance, charges in found]
        richest, charges = max(found, key=lambda pair: money_left(pair[1]))
        tries.append((richest, charges, plan(richest, demand, MicroUSD(money_left(charges)))))
        refusals = {}
        for allowance, charges, planned in tries:
            admitted: Reservation | CallRefused = (
                planned
                if isinstance(planned, CallRefused)
                else await self._admit(connection, standing, demand, planned, charges, now)
            )
            if isinstance(admitted, Reservation):
                return admitted
            # What an access says to the call cut for its money stands, not what it said to the whole.
            refusals[allowance.access_id] = admitted
        raise foremost(refusals.values())

    async def _admit(
        self,
        connection: AsyncConnection,
        standing: Standing,
        demand: Demand,
        planned: Plan,
        charges: list[Charge],
        now: int,
    ) -> Reservation | CallRefused:
        reservation = self._reservation(standing, demand, planned, charges, now)
        savepoint = await connection.begin_nested()
        for charge in charges:
            if not await take(connection, charge, charge.amount(planned.hold)):
                await savepoint.rollback()
                return exhausted(charge, charges, planned, demand)
        row = _row(reservation, standing, demand, planned, self._lease.boot_id)
        if (await connection.execute(insert_within_rates(row, planned.allowance, now))).rowcount != 1:
            await savepoint.rollback()
            return await too_fast(connection, planned.allowance, standing.jti, now, planned.tokens(demand))
        await savepoint.commit()
        return replace(reservation, rate=await rate_left(connection, planned.allowance, now))

    def _reservation(
        self, standing: Standing, demand: Demand, planned: Plan, charges: list[Charge], now: int
    ) -> Reservation:
        money = [charge for charge in charges if charge.key.is_money()]
        tightest = min(money, key=lambda charge: charge.left)
        return Reservation(
            id=new_id("res", self._entropy),
            jti=standing.jti,
            grant_id=standing.grant_id,
            access_id=planned.allowance.access_id,
            credential=planned.allowance.credential,
            hold=planned.hold,
            output_max=planned.output_max,
            price=demand.price,
            charged=tuple(charge.key for charge in charges),
            money_left=MicroUSD(tightest.left - planned.hold),
            money_held=MicroUSD(tightest.held + planned.hold),
            admitted_at=now,
            ends_at=planned.allowance.ends_at,
        )


def _row(reservation: Reservation, standing: Standing, demand: Demand, planned: Plan, boot_id: str) -> dict[str, Any]:
    return {
        "id": reservation.id,
        "grant_id": reservation.grant_id,
        "access_id": reservation.access_id,
        "jti": reservation.jti,
        "user_id": standing.user_id,
        "credential_id": reservation.credential.id,
        "provider": demand.provider,
        "model": demand.model,
        "action": demand.action,
        "streamed": int(demand.streamed),
        "state": "held",
        "mark": "",
        "hold": reservation.hold,
        "charged": dump_keys(list(reservation.charged)),
        "price": dumps(reservation.price.to_dict()).decode(),
        "input_bound": demand.input_bound,
        "output_bound": planned.output_bound,
        "rate_tokens": planned.tokens(demand),
        "boot_id": boot_id,
        "admitted_at": reservation.admitted_at,
        **dict.fromkeys(("cost", "overrun", "input_tokens", "output_tokens", "cached_input_tokens"), 0),
        **dict.fromkeys(("cache_write_tokens", "status", "reached"), 0),
        "outcome": "",
    }
