"""Apps using your keys: everything that can spend money, and the most it could still spend."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Generic, Self, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.audit.record import record
from broker.core.details import BadDetails, parse_details
from broker.core.grant import GrantEvent, GrantState
from broker.ledger import history
from broker.providers.registry import label
from broker.store import grants, lent
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Client, User
from broker.web.chart import start_of
from broker.web.context import Web
from broker.web.forms import read_form, read_query
from broker.web.lent import Lent, app_name, read_all_lent
from broker.web.words import ago, clock_time, counted, listed, local, money, zone_of

PAUSE_ALL = "grants:pause-all"
_UNVERIFIED = 3

ROWS = 50
"""Apps a page; what needs a look is on the first."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    request_id: str
    name: str
    asks: str


@dataclass(frozen=True, slots=True)
class Overview:
    live: list[Lent]
    ended: list[tuple[Lent, int]]
    """With the final cost in micro-dollars."""
    waiting: list[Waiting]
    spent: int

    @property
    def active(self) -> list[Lent]:
        return [each for each in self.live if each.state is GrantState.ACTIVE]

    @property
    def spendable(self) -> int:
        """Everything left in the limits of active apps, what is reserved in them included."""
        return sum(part.spendable for each in self.active for part in each.parts)


@dataclass(frozen=True, slots=True)
class Leaf(Generic[T]):
    """Some of a long list: the first ROWS, or those of a later page."""

    rows: list[T]
    number: int
    has_more: bool

    @classmethod
    def of(cls, every: list[T], typed: str) -> Self:
        last = max(0, len(every) - 1) // ROWS
        number = min(int(typed), last) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
        return cls(every[number * ROWS : (number + 1) * ROWS], number, number < last)

    def previous(self, name: str) -> str:
        """The address of the page before; empty on the first."""
        return f"/grants?{name}={self.number - 1}" if self.number else ""

    def next(self, name: str) -> str:
        return f"/grants?{name}={self.number + 1}" if self.has_more else ""


class GrantsPages:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def list(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        query, now = read_query(request), self._web.clock()
        overview = await self._web.db.read(lambda tx: self._overview(tx, signed_in.user, now))
        return self._web.pages.render(
            request,
            "grants.html",
            signed_in=signed_in,
            overview=overview,
            live=Leaf.of(overview.live, query.text("page")),
            ended=Leaf.of(overview.ended, query.text("ended")),
            ago=partial(ago, now=now),
        )

    async def confirm_pause_all(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        now = self._web.clock()
        overview = await self._web.db.read(lambda tx: self._overview(tx, signed_in.user, now))
        return self._web.pages.render(
            request, "grants_pause_all.html", signed_in=signed_in, active=overview.active, purpose=PAUSE_ALL
        )

    async def pause_all(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        self._web.sessions.check(request, signed_in, await read_form(request), PAUSE_ALL)
        now = self._web.clock()
        paused = await self._web.db.write(lambda tx: self._pause_all(tx, signed_in.user, now))
        response = RedirectResponse("/grants", 303)
        since = clock_time(now, signed_in.user.zone, seconds=True)
        said = f"{counted(paused, 'app is', 'apps are')} paused and refused from {since}."
        self._web.sessions.flash(response, said if paused else "No app was active, so nothing was changed.")
        return response

    async def _pause_all(self, tx: AsyncSession, user: User, now: int) -> int:
        paused = 0
        for each in (await self._overview(tx, user, now)).active:
            if await grants.move(tx, each.grant.id, GrantEvent.PAUSE, now, by=user.pseudonym):
                await record(tx, now, "grant.paused", user.pseudonym, each.grant.id)
                paused += 1
        return paused

    async def _overview(self, tx: AsyncSession, user: User, now: int) -> Overview:
        every = await read_all_lent(tx, self._web.registry, user.id, now)
        costs = await history.total_costs(tx, user.id)
        today = local(now, user.zone)
        month = start_of(date(today.year, today.month, 1), zone_of(user.zone))
        return Overview(
            live=sorted((each for each in every if each.is_live), key=_urgency),
            ended=[(each, costs.get(each.grant.id, 0)) for each in every if not each.is_live],
            waiting=[_waiting(*row, user.zone) for row in await lent.waiting_for(tx, user.id, now)],
            spent=await history.spent_since(tx, user.id, month),
        )


def _urgency(each: Lent) -> tuple[int, int]:
    """What needs a look comes first, then what was used last."""
    urgency = each.tag.urgency if each.client.verified else min(each.tag.urgency, _UNVERIFIED)
    return urgency, -(each.last_used or each.grant.created_at)


def _waiting(request: GrantRequest, client: Client, zone: str) -> Waiting:
    try:
        asked = parse_details(request.asked)
    except BadDetails:
        asked = ()
    parts = [
        f"to spend up to {money(element.budget.amount, 'limit')} on {label(element.provider)}"
        if element.budget
        else f"to use {label(element.provider)}"
        for element in asked
    ]
    asks = f"asks {listed(parts)}. The request ends at {clock_time(request.ends_at, zone)}."
    return Waiting(request.id, app_name(client), asks)
