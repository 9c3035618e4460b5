"""The people of the pages that are looked at, and what they have lent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from playwright.async_api import Page
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Budget
from broker.core.clock import DAY, MINUTE
from broker.core.grant import GrantEvent
from broker.core.money import MicroUSD
from broker.core.secret import Secret
from broker.ledger.overall import key_scope
from broker.ledger.overall_limits import Terms, load, put_in_tier, set_limit
from broker.store import credentials, grants
from broker.store.grant_tables import Grant
from broker.store.ledger_tables import Counter
from broker.store.limit_tables import Threshold
from broker.store.tables import Credential, User
from tests.journey.place import Place
from tests.turned_clock import NOON
from tests.web_grants.lending import element

LENT = NOON - 14 * DAY
WEEK = element(NOON)
# As long and as odd as a registration and a request would let through, and more.
HOSTILE = '"><script>alert(1)</script> \u202eevil\u202c ' + "👩‍👩‍👧" * 20 + "W" * 300


@dataclass(frozen=True, slots=True)
class Cast:
    """Ana has everything, Ben nothing, Cleo apps but no key; nobody is signed in as `nobody`."""

    place: Place
    people: dict[str, User | None]
    personal: Credential
    work: Credential
    grants: dict[str, Grant]

    @property
    def ana(self) -> User:
        user = self.people["ana"]
        assert user is not None
        return user

    def grant(self, name: str) -> str:
        return f"{self.place.url}/grants/{self.grants[name].id}"


Opens = Callable[[Cast, Page], Awaitable[object]]
"""Brings a page, signed in as the state's person, to the state."""

STATES: dict[str, tuple[str, Opens]] = {}


def state(person: str) -> Callable[[Opens], Opens]:
    def register(opens: Opens) -> Opens:
        STATES[opens.__name__.replace("_", " ")] = (person, opens)
        return opens

    return register


async def assemble(place: Place) -> Cast:
    lend = place.lending
    ana, ben, cleo, dora = [
        await lend.user(name, LENT, zone="Europe/Berlin") for name in ("ana", "ben", "cleo", "dora")
    ]
    personal = await lend.key(ana, LENT)
    work = await lend.key(ana, LENT, "Work", "anthropic", Secret("sk-ant-bbbbbbbbbbbbbbbb77Qa"))
    await lend.key(None, LENT, "Shared", "google", Secret("AIza-cccccccccccccccc"))
    people = {"ana": ana, "ben": ben, "cleo": cleo, "dora": dora, "nobody": None}
    cast = Cast(place, people, personal, work, {})
    cast.grants["busy"] = await _busy(cast)
    for name in ("fresh", "paused", "spent", "frozen", "revoked"):
        client = await place.client(f"The {name.capitalize()} App")
        cast.grants[name] = await lend.grant(ana, client, LENT, (personal, WEEK))
    cast.grants["ended"] = await _grant(cast, "The Ended App", LENT - 30 * DAY, NOON - DAY)
    cast.grants["soon"] = await _grant(cast, "The Short App", LENT, NOON + 20 * 60 * MINUTE, verified=0)
    cast.grants["broken"] = await _broken(cast)
    cast.grants["tight"] = await _tight(cast)
    await lend.call(cast.grants["spent"], NOON - MINUTE, 5_000_000)
    moves = {"paused": GrantEvent.PAUSE, "frozen": GrantEvent.FREEZE, "revoked": GrantEvent.REVOKE}
    for name, event in moves.items():
        await place.db.write(_move(cast.grants[name].id, event, ana))
    return cast


async def lab_of(cast: Cast) -> Credential:
    """Ana's key for a server of her own."""
    rows = await cast.place.db.read(lambda tx: credentials.of_user(tx, cast.ana.id))
    known = next((row for row in rows if row.base_url), None)
    host = "https://a-server-with-a-long-name.department.example.com"
    return known or await cast.place.lending.key(cast.ana, NOON, "Lab", "openai-compatible", base_url=host)


def _move(grant_id: str, event: GrantEvent, user: User) -> Callable[[AsyncSession], Awaitable[bool]]:
    return lambda tx: grants.move(tx, grant_id, event, NOON, by=user.pseudonym)


async def _busy(cast: Cast) -> Grant:
    """Two keys, fourteen days of calls, refusals, and a call that runs."""
    lend = cast.place.lending
    daily = replace(WEEK, provider="anthropic", models=("claude-sonnet-4-5",), budget=Budget(MicroUSD(500_000), "day"))
    given = ((cast.personal, WEEK), (cast.work, daily))
    grant = await lend.grant(cast.ana, await cast.place.client(), LENT, *given)
    for day in range(14):
        await lend.call(grant, NOON - day * DAY - MINUTE, 37_000 * (day % 5) + 1_000)
        await lend.call(grant, NOON - day * DAY - 2 * MINUTE, 300)
    await lend.call(grant, NOON - MINUTE, state="held", hold=120_000)
    for days in (14, 3):
        await lend.receipt(grant, NOON - days * DAY)
    for code in ("model_not_granted", "rate_limited", "budget_exhausted"):
        await lend.refusal(grant, NOON - 3 * MINUTE, code)
    return grant


async def _grant(cast: Cast, name: str, at: int, ends: int, **changed: int) -> Grant:
    client = await cast.place.client(name, **changed)
    terms = replace(WEEK, expires_at=ends // 1_000_000)
    return await cast.place.lending.grant(cast.ana, client, at, (cast.personal, terms))


async def _broken(cast: Cast) -> Grant:
    """Its key is refused by the provider; its app calls itself something nobody should."""
    lend = cast.place.lending
    key = await lend.key(cast.ana, LENT, "Old key", "openai", Secret("sk-test-dddddddddddddddd1x1x"))
    grant = await lend.grant(cast.ana, await cast.place.client(HOSTILE[:80]), LENT, (key, WEEK))

    async def refuse(tx: AsyncSession) -> None:
        row = await tx.get(Credential, key.id)
        assert row is not None
        row.state, row.checked_at = "refused", NOON - DAY

    await cast.place.db.write(refuse)
    return grant


async def _tight(cast: Cast) -> Grant:
    """All apps together have used what its key may cost; what the operator lends is half used."""
    lend, db = cast.place.lending, cast.place.db
    home = await lend.key(cast.ana, LENT, "Home", "openai", Secret("sk-test-eeeeeeeeeeeeeeee2y2Y"))
    grant = await lend.grant(cast.ana, await cast.place.client("The Tight App"), LENT, (home, WEEK))
    [access] = await lend.accesses(grant)
    near: dict[str, Any] = {"scope_kind": "access", "scope_id": access.id, "measure": "money", "period_kind": "grant"}

    async def limit(tx: AsyncSession) -> None:
        await set_limit(tx, "credential", key_scope(cast.ana.id, home.id), Terms(20_000_000, 500, "month"), NOON)
        await set_limit(tx, "tier", "plus", Terms(10_000_000, None, "tier"), NOON)
        await put_in_tier(tx, cast.ana.id, await load(tx, "tier", "plus"), 31, NOON)
        tx.add(Threshold(period_start=0, limit=5_000_000, percent=80, used=4_100_000, at=NOON - DAY, **near))
        await tx.flush()
        for counter in (
            await tx.exec(select(Counter).where(col(Counter.scope_kind).in_(["credential", "tier"])))
        ).all():
            counter.settled = counter.limit // (1 if counter.scope_kind == "credential" else 2)
            tx.add(counter)

    await db.write(limit)
    return grant
