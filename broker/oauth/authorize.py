"""The authorization endpoint: where an app sends a person's browser, and where nothing is decided yet."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.errors import BadForm, OAuthError, PageError
from broker.core.forms import Form, parse_form
from broker.oauth.asked_details import Catalogue
from broker.oauth.code import answer_address
from broker.oauth.fapi import must_push
from broker.oauth.find_client import FindClient
from broker.oauth.form_post import FormPost, read_form_bytes
from broker.oauth.request import (
    Origin,
    UntrustedRequest,
    check_request,
    identify,
    open_pushed,
    store_opened,
)
from broker.oauth.throttle import Throttled
from broker.settings import Settings
from broker.store.grant_tables import GrantRequest

IsSignedIn = Callable[[Request], Awaitable[bool]]

_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


@dataclass(frozen=True, slots=True)
class Authorize:
    """First identify, with errors shown here; then check, with errors sent back to the client; then store.

    Every redirect is 303, so that no browser posts again what was posted here (RFC 9700 §4.12).
    """

    post: FormPost
    find: FindClient
    settings: Settings
    catalogue: Catalogue
    is_signed_in: IsSignedIn

    async def endpoint(self, request: Request) -> Response:
        with _told_here():
            self.post.throttle.admit(self.post.address_of(request))
        form = await _read(request)
        if form.all("request_uri"):
            stored = await self.post.db.write(
                lambda tx: open_pushed(tx, form, self.settings, self.post.clock()),
            )
        else:
            with _told_here():
                origin = await identify(self.find, form, asked_from=self.post.address_of(request))
            try:
                stored = await self._store(form, origin)
            except OAuthError as error:
                return self._refuse(origin, error)
        return await self._to_consent(request, stored)

    async def _store(self, form: Form, origin: Origin) -> GrantRequest:
        if must_push(origin.client, self.settings.require_pushed):
            raise OAuthError("invalid_request", "A pushed authorization request is required.")
        checked = check_request(form, origin, self.settings, self.catalogue, self.post.clock())
        return await self.post.db.write(lambda tx: store_opened(tx, checked, self.settings))

    async def _to_consent(self, request: Request, stored: GrantRequest) -> Response:
        signed_in = await self.is_signed_in(request)
        place = f"/consent/{stored.id}" if signed_in else f"/sign-in?request={stored.id}"
        return RedirectResponse(place, 303, _HEADERS)

    def _refuse(self, origin: Origin, error: OAuthError) -> Response:
        answer = {"error": error.error, "error_description": error.description}
        address = answer_address(origin.redirect_uri, origin.state, self.settings.public_url, answer)
        return RedirectResponse(address, 303, _HEADERS)


@contextmanager
def _told_here() -> Iterator[None]:
    """What goes wrong before anyone is identified is said on a page: there is no address to send it to."""
    try:
        yield
    except Throttled as error:
        raise PageError(429, "Too many requests", "Wait a moment, then try again.") from error
    except OAuthError as error:
        what = "We cannot tell right now which app sent you. Try again in a moment."
        raise PageError(error.status, "This app cannot be reached", what, detail=error.detail) from error


async def _read(request: Request) -> Form:
    """The query of a GET or the body of a POST, never both; raises UntrustedRequest."""
    query: bytes = request.scope["query_string"]
    try:
        if request.method != "POST":
            return parse_form(query)
        if query:
            raise UntrustedRequest("a posted request has parameters in its address, too")
        return parse_form(await read_form_bytes(request))
    except (BadForm, OAuthError):
        raise UntrustedRequest("the request cannot be read") from None
