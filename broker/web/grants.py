"""Apps using your keys: everything that can spend money, and the most it could still spend."""

from dataclasses import dataclass
from functools import partial
from typing import Generic, Self, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.audit.record import record_each
from broker.core.counted import counted
from broker.ledger import history
from broker.store import grants, lent
from broker.store.tables import User
from broker.web.context import Web
from broker.web.forms import read_form, read_query
from broker.web.lent import Lent, read_some_lent, shown_name
from broker.web.overview import Overview, read_overview
from broker.web.words import ago, clock_time

PAUSE_ALL = "grants:pause-all"

ROWS = 50
"""Apps a page; what needs a look is on the first."""

T = TypeVar("T")
U = TypeVar("U")


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

    def showing(self, rows: "list[U]") -> "Leaf[U]":
        """The same page, with what is shown of each of its rows."""
        return Leaf(rows, self.number, self.has_more)

    def previous(self, name: str) -> str:
        """The address of the page before; empty on the first."""
        return f"/grants?{name}={self.number - 1}" if self.number else ""

    def next(self, name: str) -> str:
        return f"/grants?{name}={self.number + 1}" if self.has_more else ""


@dataclass(frozen=True, slots=True)
class Listing:
    overview: Overview
    live: Leaf[Lent]
    ended: Leaf[tuple[Lent, int]]
    """With the final cost in micro-dollars."""


class GrantsPages:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def list(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        query, now = read_query(request), self._web.clock()
        work = partial(self._read, user=signed_in.user, now=now, page=query.text("page"), ended=query.text("ended"))
        listing = await self._web.db.read(work)
        return self._web.pages.render(
            request,
            "grants.html",
            signed_in=signed_in,
            overview=listing.overview,
            live=listing.live,
            ended=listing.ended,
            ago=partial(ago, now=now),
        )

    async def _read(self, tx: AsyncSession, user: User, now: int, page: str, ended: str) -> Listing:
        overview = await read_overview(tx, self._web.registry, user, now)
        first, second = Leaf.of(overview.live, page), Leaf.of(overview.ended, ended)
        ids, over = [each.grant_id for each in first.rows], [each.grant_id for each in second.rows]
        found = await read_some_lent(tx, self._web.registry, ids + over, now)
        costs = await history.total_costs(tx, over)
        return Listing(
            overview,
            first.showing([found[each] for each in ids]),
            second.showing([(found[each], costs.get(each, 0)) for each in over]),
        )

    async def confirm_pause_all(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        now = self._web.clock()
        active = await self._web.db.read(lambda tx: lent.active_of(tx, signed_in.user.id, now))
        names = [shown_name(name) for _, name in active]
        return self._web.pages.render(
            request, "grants_pause_all.html", signed_in=signed_in, names=names, purpose=PAUSE_ALL
        )

    async def pause_all(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        self._web.sessions.check(request, signed_in, await read_form(request), PAUSE_ALL)
        now = self._web.clock()
        paused = await self._web.db.write(lambda tx: _pause_all(tx, signed_in.user, now))
        response = RedirectResponse("/grants", 303)
        since = clock_time(now, signed_in.user.zone, seconds=True)
        said = f"{counted(paused, 'app is', 'apps are')} paused and refused from {since}."
        self._web.sessions.flash(response, said if paused else "No app was active, so nothing was changed.")
        return response


async def _pause_all(tx: AsyncSession, user: User, now: int) -> int:
    paused = await grants.pause_active(tx, user.id, now, by=user.pseudonym)
    await record_each(tx, now, "grant.paused", user.pseudonym, paused)
    return len(paused)
