"""Pausing, resuming and revoking a grant: each at once, in every worker, by one press."""

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.audit.record import record
from broker.core.grant import GrantEvent, GrantState
from broker.ledger import history
from broker.oauth.key_wanted import want_key
from broker.store import grants
from broker.web.context import Web
from broker.web.forms import read_form
from broker.web.lent import Lent, require_lent
from broker.web.words import clock_time, money

_NOT_MOVED = {
    GrantEvent.PAUSE: "Nothing was changed: it was not active.",
    GrantEvent.RESUME: "Nothing was changed: it was not paused.",
    GrantEvent.REVOKE: "Nothing was changed: it had ended before.",
}


_SIGNED = "From {at} only requests that {name} signs with a key of its own are accepted."
_UNSIGNED = "Requests that are not signed are accepted again."


class GrantMoves:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def pause(self, request: Request) -> Response:
        return await self._move(request, GrantEvent.PAUSE, "grant.paused", "Paused. {name} is refused from {at}.")

    async def resume(self, request: Request) -> Response:
        said = "Resumed. {name} can spend again within its limits from {at}."
        return await self._move(request, GrantEvent.RESUME, "grant.resumed", said)

    async def confirm_revoke(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        now, grant_id = self._web.clock(), request.path_params["grant_id"]
        found = await self._web.db.read(lambda tx: require_lent(tx, self._web.registry, signed_in.user, grant_id, now))
        if not found.is_live:
            return RedirectResponse(found.path, 303)
        return self._web.pages.render(request, "revoke.html", signed_in=signed_in, lent=found)

    async def revoke(self, request: Request) -> Response:
        said = "{name} is revoked. It can no longer spend anything. {cost}"
        return await self._move(request, GrantEvent.REVOKE, "grant.revoked", said, to="/grants")

    async def want_key(self, request: Request) -> Response:
        """Whether only requests that the app signs are accepted."""
        web = self._web
        signed_in = await web.sessions.require(request)
        now, user, grant_id = web.clock(), signed_in.user, request.path_params["grant_id"]
        form = await read_form(request)
        web.sessions.check(request, signed_in, form, f"grant:{grant_id}")
        wanted = form.text("wanted") == "1"

        async def work(tx: AsyncSession) -> tuple[Lent, bool]:
            found = await require_lent(tx, web.registry, user, grant_id, now)
            live = found.is_live and not found.is_bound_already
            return found, live and await want_key(tx, found.grant, now, wanted=wanted, by=user.pseudonym)

        found, changed = await web.db.write(work)
        response = RedirectResponse(found.path, 303)
        said = _SIGNED.format(name=found.name, at=clock_time(now, user.zone, seconds=True)) if wanted else _UNSIGNED
        web.sessions.flash(response, said if changed else "Nothing was changed.", "ok" if changed else "info")
        return response

    async def _move(self, request: Request, event: GrantEvent, entry: str, said: str, to: str = "") -> Response:
        web = self._web
        signed_in = await web.sessions.require(request)
        now, user, grant_id = web.clock(), signed_in.user, request.path_params["grant_id"]
        form = await read_form(request)
        web.sessions.check(request, signed_in, form, f"grant:{grant_id}")

        async def work(tx: AsyncSession) -> tuple[Lent, bool, int]:
            found = await require_lent(tx, web.registry, user, grant_id, now)
            moved = found.is_live and await grants.move(tx, grant_id, event, now, by=user.pseudonym)
            if moved:
                await record(tx, now, entry, user.pseudonym, grant_id)
            costs = await history.total_costs(tx, [grant_id])
            return found, moved, costs.get(grant_id, 0)

        found, moved, cost = await web.db.write(work)
        response = RedirectResponse(to or ("/grants" if form.text("from") == "list" else found.path), 303)
        at = clock_time(now, user.zone, seconds=True)
        text = said.format(name=found.name, at=at, cost=_cost(found, cost)) if moved else self._not_moved(found, event)
        web.sessions.flash(response, text, "ok" if moved else "info")
        return response

    def _not_moved(self, found: Lent, event: GrantEvent) -> str:
        if event is GrantEvent.RESUME and found.state is GrantState.PAUSED:
            return f"Nothing was changed: only {self._web.settings.contact} can resume it."
        return _NOT_MOVED[event]


def _cost(found: Lent, settled: int) -> str:
    """What was running is cut now and settled in a moment, so until then no cost is final."""
    if not found.running:
        return f"Final cost: {money(settled)}."
    return f"Cost so far: {money(settled)}; what was running may add up to {money(found.held)}."
