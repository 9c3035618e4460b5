"""Books on a real database: someone who lends, something that was lent, and a clock to turn."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY
from broker.core.errors import CallRefused
from broker.core.grant import GrantEvent
from broker.core.usage import Price, Rates, Tier, Usage
from broker.ledger.books import OwnBooks
from broker.ledger.judge import Demand
from broker.ledger.keys import CounterKey, money_key, requests_key
from broker.ledger.lease import Lease
from broker.ledger.limits import change_limits, open_access
from broker.ledger.overall import key_scope
from broker.ledger.overall_limits import Terms, load, put_in_tier, remove_limit, set_limit
from broker.ledger.reserve import Reservation, Reserver
from broker.ledger.settle import Close, Ending, Settled
from broker.ledger.sweep import sweep
from broker.ledger.verify import verify
from broker.store import grants
from broker.store.database import Database
from broker.store.grant_tables import Access, AccessToken, Grant
from broker.store.ledger_tables import Counter
from broker.store.ledger_tables import Reservation as Row
from broker.store.tables import AuditEntry, Client, Credential, User
from tests.turned_clock import TurnedClock

PRICE = Price(
    "test",
    "1",
    (
        Tier(
            -1,
            Rates(
                input=1_000_000,
                output=2_000_000,
                cached_input=500_000,
                cache_write=1_000_000,
                cache_write_long=2_000_000,
            ),
        ),
    ),
)
"""A micro-dollar for each token read, two for each token written."""

LONG_LEASE = 10**9
"""Seconds: this worker's lease outlives every turn of the clock."""

ESTIMATED = Ending("estimated", "broken")
NOT_RUN = Ending("not_run", "unreachable", reached=False)
REFUSED_THERE = Ending("not_run", "provider_refused", status=429)


def reported(read: int, written: int, **more: Any) -> Ending:
    return Ending("reported", "ok", Usage(read, written, **more), 200)


def demand(**changes: Any) -> Demand:
    """A call that holds 100 + 2 × 50 = 200 micro-dollars."""
    usual = Demand(
        provider="openai",
        model="gpt-4o-mini",
        action="chat",
        extra_actions=frozenset(),
        input_bound=100,
        own_output=50,
        model_output=4096,
        choices=1,
        covers_reasoning=True,
        streamed=False,
        price=PRICE,
    )
    return usual._replace(**changes)


@dataclass
class Lent:
    """A grant with its accesses, and a token that is worth all of it."""

    grant_id: str
    access_ids: list[str]
    jti: str

    @property
    def access_id(self) -> str:
        return self.access_ids[0]


@dataclass
class Books:
    db: Database
    clock: TurnedClock
    user_id: str = ""
    client_id: str = ""
    credential_id: str = ""
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.lease = self.new_lease()
        self.own = OwnBooks(self.db, self.clock)
        self.others = OwnBooks(self.db, self.clock)
        """As another process writes them."""
        self.reserver = Reserver(self.own, self.clock, self.lease)

    def new_lease(self, seconds: float = LONG_LEASE) -> Lease:
        return Lease(self.db, self.clock, lambda: self.clock() / 1_000_000, seconds)

    def id(self, prefix: str) -> str:
        return f"{prefix}_{next(self.numbers)}"

    async def open(self) -> None:
        """A person with a key, an app, and the lease of this worker."""
        now = self.clock()
        self.user_id, self.client_id, self.credential_id = self.id("usr"), self.id("cli"), self.id("crd")
        user: dict[str, Any] = {"pseudonym": "p", "email": "ana@example.com", "role": "user", "password_hash": "-"}
        await self.add(
            User(id=self.user_id, created_at=now, **user),
            Client(id=self.client_id, name="App", public=1, redirect_uris="[]", verified=1, created_at=now),
            self.key(self.credential_id),
        )
        await self.lease.take()

    def key(self, credential_id: str, provider: str = "openai", *, operators: bool = False) -> Credential:
        seal: dict[str, Any] = {"name": "Personal", "sealed": "v1.a.b", "created_at": self.clock()}
        owner = None if operators else self.user_id
        return Credential(id=credential_id, user_id=owner, provider=provider, **seal)

    @property
    def own_key(self) -> str:
        """The scope of this person's use of their key."""
        return key_scope(self.user_id, self.credential_id)

    async def lent_key(self) -> str:
        """Another key, of the operator's."""
        credential_id = self.id("crd")
        await self.add(self.key(credential_id, operators=True))
        return credential_id

    async def add(self, *rows: Any) -> None:
        async def work(tx: AsyncSession) -> None:
            for row in rows:
                tx.add(row)
                await tx.flush()

        await self.db.write(work)

    async def lend(self, *accesses: dict[str, Any], **terms: Any) -> Lent:
        """One access for each dict of terms (one of the usual terms where there is none), and a token for a day."""
        now = self.clock()
        grant = Grant(id=self.id("grt"), user_id=self.user_id, client_id=self.client_id, created_at=now, changed_at=now)
        rows = [self._access(grant.id, place, each | terms) for place, each in enumerate(accesses or ({},))]

        async def work(tx: AsyncSession) -> None:
            tx.add(grant)
            await tx.flush()
            for row in rows:
                tx.add(row)
                await tx.flush()
                await open_access(tx, row, now)

        await self.db.write(work)
        return Lent(grant.id, [row.id for row in rows], await self.token(grant.id))

    def _access(self, grant_id: str, position: int, terms: dict[str, Any]) -> Access:
        usual: dict[str, Any] = {
            "credential_id": self.credential_id,
            "provider": "openai",
            "models": '["gpt-4o-mini"]',
            "actions": '["chat"]',
            "budget": 1_000,
            "ends_at": self.clock() + 3650 * DAY,
        }
        return Access(
            id=self.id("acc"), grant_id=grant_id, position=position, created_at=self.clock(), **(usual | terms)
        )

    async def token(self, grant_id: str, **terms: Any) -> str:
        usual: dict[str, Any] = {"created_at": self.clock(), "ends_at": self.clock() + 3650 * DAY}
        row = AccessToken(jti=self.id("tok"), grant_id=grant_id, client_id=self.client_id, **(usual | terms))
        await self.add(row)
        return row.jti

    async def reserve(self, lent: Lent | str, **changes: Any) -> Reservation:
        return await self.reserver(lent if isinstance(lent, str) else lent.jti, demand(**changes))

    async def refused(self, lent: Lent | str, **changes: Any) -> CallRefused:
        try:
            held = await self.reserve(lent, **changes)
        except CallRefused as refusal:
            return refusal
        raise AssertionError(f"admitted with a hold of {held.hold}")

    async def settle(self, held: Reservation, ending: Ending) -> Settled:
        return await self.own.submit(Close(held.id, ending))

    async def sweep(self) -> int:
        return await sweep(self.db, self.others, self.clock)

    async def change(self, access_id: str, **terms: Any) -> None:
        """What the owner types on the page of the grant."""

        async def work(tx: AsyncSession) -> None:
            access = await tx.get_one(Access, access_id)
            for name, value in terms.items():
                setattr(access, name, value)
            await tx.flush()
            await change_limits(tx, access, self.clock())

        await self.db.write(work)

    async def limit(self, kind: str, scope_id: str, per: str, **figures: int | None) -> None:
        """What the owner of a key, or the operator, sets above the grants."""
        terms = Terms(figures.get("budget"), figures.get("max_requests"), per)
        await self.db.write(lambda tx: set_limit(tx, kind, scope_id, terms, self.clock()))

    async def unlimit(self, kind: str, scope_id: str) -> bool:
        return await self.db.write(lambda tx: remove_limit(tx, kind, scope_id, self.clock()))

    async def tier(self, name: str, anchor_day: int = 1, user_id: str = "") -> None:
        async def work(tx: AsyncSession) -> None:
            await put_in_tier(tx, user_id or self.user_id, await load(tx, "tier", name), anchor_day, self.clock())

        await self.db.write(work)

    async def move(self, grant_id: str, event: GrantEvent) -> bool:
        return await self.db.write(lambda tx: grants.move(tx, grant_id, event, self.clock(), by="p"))

    async def run(self, sql: str, **values: Any) -> None:
        """Raw SQL, as no part of the program speaks it."""

        async def work(tx: AsyncSession) -> None:
            await (await tx.connection()).execute(text(sql), values)

        await self.db.write(work)

    async def money(self, access_id: str, per: str = "grant") -> Counter:
        return await self.counter(money_key(access_id, per, self.clock()))

    async def requests(self, access_id: str) -> Counter:
        return await self.counter(requests_key(access_id))

    async def counter(self, key: CounterKey) -> Counter:
        return next(
            row
            for row in await self.counters()
            if all(getattr(row, name) == value for name, value in key._asdict().items())
        )

    async def counters(self) -> list[Counter]:
        async def work(tx: AsyncSession) -> list[Counter]:
            return list((await tx.exec(select(Counter).order_by(col(Counter.period_start)))).all())

        return await self.db.read(work)

    async def row(self, held: Reservation) -> Row:
        return await self.db.read(lambda tx: tx.get_one(Row, held.id))

    async def rows(self) -> list[Row]:
        async def work(tx: AsyncSession) -> list[Row]:
            return list((await tx.exec(select(Row).order_by(col(Row.admitted_at)))).all())

        return await self.db.read(work)

    async def state(self, grant_id: str) -> str:
        grant = await self.db.read(lambda tx: tx.get_one(Grant, grant_id))
        return grant.state

    async def audited(self) -> list[str]:
        async def work(tx: AsyncSession) -> list[str]:
            return list((await tx.exec(select(AuditEntry.event).order_by(col(AuditEntry.seq)))).all())

        return await self.db.read(work)

    async def fault(self) -> str:
        """What verify finds: empty when the books are right."""
        return (await verify(self.db)).fault


def standing(counter: Counter) -> tuple[int, int, int]:
    return counter.settled, counter.held, counter.overrun
