"""A request that is closed: just answered and on its way back to the app, answered a while ago, or ended."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.clock import from_seconds
from broker.core.errors import PageError
from broker.core.grant import RequestState
from broker.core.secret import Secret
from broker.oauth.code import kept_code, redirect_back
from broker.oauth.consent import is_open
from broker.oauth.request import is_registered
from broker.store import credentials, grant_requests, grants, spare_keys
from broker.store.grant_tables import Access, GrantRequest
from broker.store.tables import Client, Credential, User
from broker.web.consent_outcome import lowered_words, outcome_words
from broker.web.context import Web
from broker.web.lent import app_name
from broker.web.session import SignedIn
from broker.web.words import clock_time, day

Part = tuple[Access, list[Credential]]
"""An access, and the keys that it has: the first one first."""


@dataclass(frozen=True, slots=True)
class Closed:
    """`code` is there while it may still be shown, and `parts` what the grant says now."""

    request: GrantRequest
    client: Client
    code: Secret | None = None
    parts: tuple[Part, ...] = ()


async def _keys(tx: AsyncSession, access: Access) -> list[Credential]:
    found = [await credentials.load(tx, key) for key in await spare_keys.ids_of(tx, access)]
    return [key for key in found if key is not None]


async def find_request(tx: AsyncSession, request_id: str, user: User, now: int) -> tuple[GrantRequest, Client]:
    """A request that this person may look at; raises PageError 404.

    An open one is whoever's opens it, but for a device's, which is of the person who entered its code: a link must not
    lead past the page that warns of it. One that has ended or was answered is of the person it belonged to.
    """
    found = await grant_requests.load_with_client(tx, request_id)
    if found is not None and _may_look(found[0], user, now):
        _require_address(*found)
        return found
    raise PageError(404, "Page not found", "There is no such request here, or it is not yours to see.")


def _may_look(request: GrantRequest, user: User, now: int) -> bool:
    if request.opened_at is None:
        return False
    return request.user_id in (None, user.id) or (request.kind == "code" and is_open(request, now))


def _require_address(request: GrantRequest, client: Client) -> None:
    """Raises PageError where the client has taken back the address that the answer would go to."""
    if request.kind == "code" and not is_registered(client, request.redirect_uri):
        what = "The app has changed where its answers go. Start again from the app."
        raise PageError(410, "This request has ended", what, did_not="We did not send you anywhere.")


class ClosedRequest:
    """The page after an answer, and what stands in its place later."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def page(self, request: Request, signed_in: SignedIn, *, at_done: bool) -> Response:
        """`at_done` is whether the address is that of the page after an answer."""
        now, request_id = self._web.clock(), request.path_params["id"]
        closed = await self._web.db.read(lambda tx: self._read(tx, request_id, signed_in.user, now))
        row = closed.request
        if is_open(row, now):
            return RedirectResponse(f"/consent/{row.id}", 303)
        if row.state == RequestState.PENDING.value:
            return self._ended(request, signed_in, closed)
        approved = row.state == RequestState.APPROVED.value
        has_code = approved and row.kind == "code"
        lasts = closed.code is not None if has_code else now < self._answered_until(row)
        if not lasts:
            if row.sealed_code:
                await self._web.db.write(lambda tx: grant_requests.erase_code(tx, row.id))
            return self._answered(request, signed_in, closed)
        if not at_done:
            return RedirectResponse(f"/consent/{row.id}/done", 303)
        if row.kind == "device":
            return self._told(request, signed_in, closed)
        return self._approved(request, signed_in, closed) if approved else self._denied(request, signed_in, closed)

    async def cannot_answer(self, request: Request, signed_in: SignedIn) -> Response:
        """For whoever is asked to change access that is not theirs, or that has ended: which of both is not said."""
        now, request_id = self._web.clock(), request.path_params["id"]
        row, client = await self._web.db.read(lambda tx: find_request(tx, request_id, signed_in.user, now))
        app = app_name(client)
        back = redirect_back(row, self._web.settings.public_url, error="invalid_grant_id") if row.redirect_uri else ""
        return self._web.pages.render(
            request,
            "consent_closed.html",
            status=403,
            signed_in=signed_in,
            title="You cannot answer this",
            sentences=[
                f"{app} asks to change access that you did not give it, or that has ended.",
                "Nothing was approved. If you gave it with another account, sign in with that one.",
            ],
            links=[*([(f"Return to {app}", back)] if back else []), ("Your apps", "/grants")],
        )

    def _answered_until(self, row: GrantRequest) -> int:
        return (row.decided_at or 0) + from_seconds(self._web.settings.code_seconds)

    async def _read(self, tx: AsyncSession, request_id: str, user: User, now: int) -> Closed:
        row, client = await find_request(tx, request_id, user, now)
        if row.grant_id is None:
            return Closed(row, client)
        accesses = await grants.load_accesses(tx, row.grant_id)
        parts = [(access, await _keys(tx, access)) for access in accesses]
        return Closed(row, client, await kept_code(tx, self._web.vault, row, now), tuple(parts))

    def _approved(self, request: Request, signed_in: SignedIn, closed: Closed) -> Response:
        app, zone = app_name(closed.client), signed_in.user.zone
        return self._leave(
            request,
            signed_in,
            closed,
            title="Approved",
            label=f"Continue to {app}",
            onward=redirect_back(closed.request, self._web.settings.public_url, code=closed.code),
            sentences=outcome_words(closed.request, closed.parts, app, zone),
            lowered=lowered_words(closed.request, app, zone),
        )

    def _denied(self, request: Request, signed_in: SignedIn, closed: Closed) -> Response:
        app = app_name(closed.client)
        return self._leave(
            request,
            signed_in,
            closed,
            title="Denied",
            label=f"Return to {app}",
            onward=redirect_back(closed.request, self._web.settings.public_url, error="access_denied"),
            sentences=[f"{app} gets nothing: no access, no key, no spending."],
        )

    def _leave(
        self,
        request: Request,
        signed_in: SignedIn,
        closed: Closed,
        *,
        title: str,
        label: str,
        onward: str,
        sentences: list[str],
        lowered: str = "",
    ) -> Response:
        return self._web.pages.render(
            request,
            "consent_done.html",
            signed_in=signed_in,
            not_you="",
            app=app_name(closed.client),
            title=title,
            label=label,
            onward=onward,
            sentences=sentences,
            lowered=lowered,
            grant_id=closed.request.grant_id,
        )

    def _told(self, request: Request, signed_in: SignedIn, closed: Closed) -> Response:
        """A device asks for its answer by itself, so nobody is sent anywhere."""
        row, app, zone = closed.request, app_name(closed.client), signed_in.user.zone
        if row.state == RequestState.APPROVED.value:
            title, link = "Your device is connected", ("Manage this access", f"/grants/{row.grant_id}")
            came_to = [*outcome_words(row, closed.parts, app, zone), lowered_words(row, app, zone)]
            sentences = ["You can close this page and go back to it.", *came_to]
        else:
            title, link = "Denied", ("Your apps", "/grants")
            sentences = [f"{app} gets nothing: no access, no key, no spending.", "You can close this page."]
        return self._web.pages.render(
            request,
            "consent_closed.html",
            signed_in=signed_in,
            not_you="",
            title=title,
            sentences=[sentence for sentence in sentences if sentence],
            links=[link],
        )

    def _answered(self, request: Request, signed_in: SignedIn, closed: Closed) -> Response:
        row, now, zone = closed.request, self._web.clock(), signed_in.user.zone
        did = "approved" if row.state == RequestState.APPROVED.value else "denied"
        at = row.decided_at or 0
        on = "" if day(at, zone) == day(now, zone) else f"on {day(at, zone)} "
        return self._web.pages.render(
            request,
            "consent_closed.html",
            status=409,
            signed_in=signed_in,
            not_you="",
            title="You already answered this",
            sentences=[f"You {did} it {on}at {clock_time(at, zone)}."],
            links=[("Manage this access", f"/grants/{row.grant_id}")] if row.grant_id else [("Your apps", "/grants")],
        )

    def _ended(self, request: Request, signed_in: SignedIn, closed: Closed) -> Response:
        where, links = "your device", [("Your apps", "/grants")]
        if closed.request.kind == "code":
            where, issuer = app_name(closed.client), self._web.settings.public_url
            back = redirect_back(closed.request, issuer, error="access_denied", description="request_expired")
            links.insert(0, (f"Return to {where}", back))
        return self._web.pages.render(
            request,
            "consent_closed.html",
            status=410,
            signed_in=signed_in,
            not_you="",
            title="This request has ended",
            sentences=["Nothing was approved.", f"Go back to {where} and start again."],
            links=links,
        )
