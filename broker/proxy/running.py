"""The calls that run in this worker, and what ends them early: a change of their grant, or the end of our lease."""

from typing import Protocol

from broker.core.clock import Clock
from broker.core.errors import CallRefused, Unavailable
from broker.ledger.judge import Demand, check_state, covering, invalid_token, key_unavailable
from broker.ledger.lease import Lease
from broker.ledger.standing import read_standings
from broker.store import changes
from broker.store.database import Database


class Call(Protocol):
    jti: str
    access_id: str
    demand: Demand
    ends_at: int
    changes: int
    """The counter of changes that it was judged at last."""

    @property
    def credential_id(self) -> str:
        """Of the key that it runs on; empty until it does."""

    def cut(self, why: CallRefused) -> None: ...


class Running:
    def __init__(self, db: Database, clock: Clock, lease: Lease) -> None:
        self._db = db
        self._clock = clock
        self._lease = lease
        self._calls: dict[str, Call] = {}
        self._seen = -1

    def add(self, reservation_id: str, call: Call) -> None:
        self._calls[reservation_id] = call

    def remove(self, reservation_id: str) -> None:
        self._calls.pop(reservation_id, None)

    def __len__(self) -> int:
        return len(self._calls)

    def cut_all(self, why: CallRefused) -> None:
        for call in list(self._calls.values()):
            call.cut(why)

    async def look(self) -> bool:
        """Cuts what may not go on; True when something changed since the last look."""
        if not self._lease.is_good:
            self.cut_all(CallRefused("unavailable", Unavailable.description))
        now = self._clock()
        for call in list(self._calls.values()):
            if call.ends_at <= now:
                call.cut(invalid_token())
        count = await changes.seen(self._db)
        due = [call for call in self._calls.values() if call.changes != count]
        if due:
            await self._judge(due)
            for call in due:
                call.changes = count
        changed, self._seen = count != self._seen, count
        return changed

    async def _judge(self, calls: list[Call]) -> None:
        found = await self._db.read_steps(read_standings({call.jti for call in calls}))
        now = self._clock()
        standings = {jti: standing.at(now, expired_token=True) for jti, standing in found.items()}
        for call in calls:
            try:
                allowed = covering(check_state(standings.get(call.jti)), call.demand)
            except CallRefused as refusal:
                call.cut(refusal)
                continue
            own = [allowance for allowance in allowed if allowance.access_id == call.access_id]
            if not own:
                call.cut(invalid_token())
            elif call.credential_id not in {"", *(each.credential.id for each in own[0].by_key)}:
                call.cut(key_unavailable())
            else:
                call.ends_at = own[0].ends_at
