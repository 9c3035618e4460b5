"""One grant: what it costs against its limits."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from broker.ledger import history
from broker.ledger.agents import Agent, agents_of
from broker.ledger.history import ModelUsage, Only, instant_of
from broker.store import credentials, lent, receipts, spare_keys
from broker.store.grant_tables import ConsentReceipt
from broker.store.ledger_tables import Refusal, Reservation
from broker.store.tables import User
from broker.web import chart
from broker.web.above import Tight, tight
from broker.web.calls import lines, prices, tried
from broker.web.chart import Chart
from broker.web.chronicle import LEFT_OUT, Event, events
from broker.web.context import Web
from broker.web.forms import read_query
from broker.web.grant_keys import STRATEGIES
from broker.web.lent import Lent, Part, key_name, require_lent
from broker.web.near import Near, near
from broker.web.terms import Terms, terms
from broker.web.usage import BUSY_FOR, Busy, Card, cards
from broker.web.words import ago, zone_of

ROWS = 20
MOST_EVENTS = 50
MOST_RECEIPTS = 20
_LATER_THAN_ALL = 2**62


@dataclass(frozen=True, slots=True)
class Section:
    """One access of the grant, with its cards and what it may do."""

    part: Part
    cards: list[Card]
    terms: Terms
    key: str
    tight: list[Tight]
    """The limits above it that are reached."""
    near: list[Near]
    """How near its own limits and those above have come in this period."""
    spares: list[str]
    """The names of its other keys."""
    order: str
    """Which of them a request uses, in words."""


@dataclass(frozen=True, slots=True)
class Shown:
    lent: Lent
    sections: list[Section]
    chart: Chart
    models: list[ModelUsage]
    calls: list[Reservation | Refusal]
    attempts: dict[str, list[str]]
    """By reservation, what came of its attempts before the last, in words."""
    older: int | None
    history: list[Event]
    receipts: list[ConsentReceipt]
    agents: list[Agent]


class GrantPages:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def show(self, request: Request) -> Response:
        web = self._web
        signed_in = await web.sessions.require(request)
        query = read_query(request)
        days = int(query.text("days")) if query.text("days") in map(str, chart.PERIODS) else chart.PERIODS[1]
        before = _instant(query.text("before"))
        only = _only(query.text("show"))
        now, grant_id = web.clock(), request.path_params["grant_id"]
        shown = await web.db.read(lambda tx: self._read(tx, signed_in.user, grant_id, now, days, before, only))
        return web.pages.render(
            request,
            "grant.html",
            signed_in=signed_in,
            shown=shown,
            lent=shown.lent,
            lines=lines(shown.calls, shown.attempts),
            prices=prices(shown.calls),
            days=days,
            is_older=bool(before),
            only=only,
            ago=partial(ago, now=now),
            date_words=chart.date_words,
            who_ended=_who_ended(shown.lent, signed_in.user, web.settings.instance_name),
        )

    async def _read(
        self, tx: AsyncSession, user: User, grant_id: str, now: int, days: int, before: int, only: Only
    ) -> Shown:
        found = await require_lent(tx, self._web.registry, user, grant_id, now)
        zone = zone_of(user.zone)
        shown_days = chart.days_until(now, days, zone)
        since = chart.start_of(shown_days[0], zone)
        calls = await history.recent_calls(tx, grant_id, before=before or _LATER_THAN_ALL, most=ROWS + 1, only=only)
        entries = await lent.history_of(tx, grant_id, without=LEFT_OUT, most=MOST_EVENTS)
        instance = self._web.settings.instance_name
        return Shown(
            lent=found,
            sections=[await self._section(tx, part, found, now, user.zone) for part in found.parts],
            chart=await _chart(tx, found, since, shown_days, zone),
            models=await history.by_model(tx, grant_id, since),
            calls=calls[:ROWS],
            attempts=await self._attempts(tx, calls[:ROWS]),
            older=instant_of(calls[ROWS - 1]) if len(calls) > ROWS else None,
            history=events(entries, found, user.pseudonym, instance),
            receipts=await receipts.newest_of(tx, grant_id, MOST_RECEIPTS),
            agents=await agents_of(tx, grant_id, now) if found.is_live else [],
        )

    async def _attempts(self, tx: AsyncSession, calls: list[Reservation | Refusal]) -> dict[str, list[str]]:
        ids = [row.id for row in calls if isinstance(row, Reservation)]
        found = await spare_keys.attempts_of(tx, ids)
        instance, told = self._web.settings.instance_name, {}
        for reservation_id, attempts in found.items():
            keys = [await credentials.load(tx, each.credential_id) for each in attempts]
            names = ["" if key is None else key_name(key, instance) for key in keys]
            told[reservation_id] = [tried(name, each) for name, each in zip(names, attempts, strict=True)]
        return told

    async def _section(self, tx: AsyncSession, part: Part, found: Lent, now: int, zone: str) -> Section:
        since = now - BUSY_FOR
        busy = Busy(
            await history.busiest_minute(tx, part.access.id, since),
            await history.refused_since(tx, found.grant.id, since, "rate_limited"),
        )
        instance = self._web.settings.instance_name
        reached = tight(part.above, part.provider, part.credential.id, instance, zone)
        key, said = key_name(part.credential, instance), terms(part, self._web.prices, now, zone)
        others = (await spare_keys.of(tx, [part.access.id])).get(part.access.id, [])
        spares = [key_name(row, instance) for row in others if row.removed_at is None]
        nearby = await near(tx, part, instance, now)
        order = STRATEGIES.get(part.access.strategy, "")
        return Section(part, cards(part, busy, now, zone), said, key, reached, nearby, spares, order)


def _instant(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= 18 else 0


def _only(typed: str) -> Only:
    return "refused" if typed == "refused" else "errors" if typed == "errors" else "all"


def _who_ended(found: Lent, user: User, instance: str) -> str:
    """you, or whoever else revoked it; empty when it ended by itself."""
    by = found.grant.ended_by
    if not by:
        return ""
    return {user.pseudonym: "you", found.client.id: found.name}.get(by, instance)


async def _chart(tx: AsyncSession, found: Lent, since: int, days: list[date], zone: ZoneInfo) -> Chart:
    costs = await history.cost_by_quarter(tx, found.grant.id, since)
    daily = [part.access.budget for part in found.parts if part.access.budget_per == "day"]
    cap = daily[0] if len(found.parts) == 1 and daily else None
    return chart.draw(costs, days, zone, cap)
