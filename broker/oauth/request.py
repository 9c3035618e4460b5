"""An authorization request, identified and then checked, becomes a stored grant request."""

import re
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import from_seconds
from broker.core.errors import BadForm, OAuthError, PageError
from broker.core.forms import Form
from broker.core.handle import digest, new_handle, new_id
from broker.core.strict_json import dumps
from broker.oauth import redirect_uri
from broker.oauth.asked_details import Catalogue, read_asked
from broker.oauth.clients import registered_uris
from broker.oauth.find_client import FindClient
from broker.oauth.grant_action import read_action, require_named_grant
from broker.oauth.grant_types import CODE, require_use
from broker.oauth.pkce import is_challenge
from broker.settings import Settings
from broker.store import clients, grant_requests
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Client

PREFIX = "urn:ietf:params:oauth:request_uri:"
MAX_STATE = 4096
_JKT = re.compile(r"[A-Za-z0-9_-]{43}")


class UntrustedRequest(PageError):
    """Neither client nor address can be believed, so the person stays here; the rest is for the app's developer, as text."""

    def __init__(self, reason: str, *, client_id: str = "", address: str = "") -> None:
        super().__init__(
            400,
            "This request cannot be trusted",
            "We did not send you anywhere and nothing was approved. Tell the app’s developer.",
            did_not="Nothing was approved.",
            detail=reason,
        )
        self.reason = reason
        self.client_id = client_id
        self.address = address


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks and where the answer goes: what must be right before anyone is sent anywhere."""

    client: Client
    redirect_uri: str
    state: str | None


async def identify(find: FindClient, form: Form, *, asked_from: str) -> Origin:
    """Raises UntrustedRequest (RFC 9700 §4.11: never a redirect to an address that is not registered), or OAuthError."""
    client_id, address = form.all("client_id"), form.all("redirect_uri")
    named = {"client_id": ascii_hint(client_id), "address": ascii_hint(address)}
    try:
        client_name, uri, state = form.one("client_id"), form.one("redirect_uri"), form.one("state")
    except BadForm:
        raise UntrustedRequest("client_id, redirect_uri or state stands more than once", **named) from None
    client = None if client_name is None else await find(client_name, asked_from=asked_from)
    if client is None:
        raise UntrustedRequest("client_id is missing or unknown", **named)
    if uri is None or not is_registered(client, uri):
        raise UntrustedRequest("redirect_uri is missing or not registered for this client", **named)
    return Origin(client, uri, state)


def is_registered(client: Client, uri: str) -> bool:
    return any(redirect_uri.matches(registered, uri) for registered in registered_uris(client))


def check_request(form: Form, origin: Origin, settings: Settings, catalogue: Catalogue, now: int) -> GrantRequest:
    """The request as it will be stored, not yet opened; raises OAuthError."""
    if form.has_repeated():
        raise OAuthError("invalid_request", "A parameter stands more than once.")
    require_use(origin.client, CODE)
    if form.one("request") is not None:
        raise OAuthError("request_not_supported", "Request objects are not supported.")
    if form.one("request_uri") is not None:
        raise OAuthError("invalid_request", "A request_uri does not belong here.")
    if form.one("response_type") is None:
        raise OAuthError("invalid_request", "response_type is missing.")
    if form.one("response_type") != "code":
        raise OAuthError("unsupported_response_type", "The response_type must be code.")
    if form.one("response_mode") not in (None, "query"):
        raise OAuthError("invalid_request", "The response_mode must be query.")
    if origin.state is not None and len(origin.state) > MAX_STATE:
        raise OAuthError("invalid_request", "The state is too long.")
    challenge = form.text("code_challenge")
    if form.one("code_challenge_method") != "S256" or not is_challenge(challenge):
        raise OAuthError("invalid_request", "A code_challenge with code_challenge_method S256 is required.")
    check_scope_and_resource(form, settings)
    asked = read_asked(form, origin.client, settings, catalogue)
    action = read_action(form)
    return GrantRequest(
        id=new_id("grq"),
        client_id=origin.client.id,
        redirect_uri=origin.redirect_uri,
        client_state=origin.state,
        code_challenge=challenge,
        asked=dumps([access.to_wire() for access in asked.accesses]).decode(),
        details_type=asked.type,
        created_at=now,
        ends_at=now,
        action=action.action,
        asked_grant_id=action.grant_id,
        dpop_jkt=_named_key(form),
    )


def _named_key(form: Form) -> str:
    """The key that the code is to be bound to (RFC 9449 §10); empty where none is named."""
    named = form.one("dpop_jkt") or ""
    if named and not _JKT.fullmatch(named):
        raise OAuthError("invalid_request", "The dpop_jkt is no SHA-256 thumbprint.")
    return named


def check_scope_and_resource(form: Form, settings: Settings) -> None:
    """Raises OAuthError; there are no scopes, and one resource (RFC 8707 §2)."""
    if form.one("scope") is not None:
        raise OAuthError("invalid_scope", "There are no scopes here: use authorization_details.")
    if form.one("resource") not in (None, settings.resource):
        raise OAuthError("invalid_target", "The resource is not the one of this server.")


async def store(tx: AsyncSession, request: GrantRequest) -> None:
    """Raises OAuthError where its client, found a moment ago, was removed or has made room for another meanwhile."""
    if await clients.load(tx, request.client_id) is None:
        raise OAuthError("temporarily_unavailable", "This client cannot be checked now. Try again.", status=503)
    await grant_requests.add(tx, request)


async def store_pushed(tx: AsyncSession, request: GrantRequest, seconds: int) -> str:
    """Its request_uri, of which only the digest is kept (RFC 9126 §2.2); raises OAuthError."""
    await require_named_grant(tx, request, request.created_at)
    request_uri = PREFIX + new_handle("par")
    request.pushed_digest = digest(request_uri)
    request.ends_at = request.created_at + from_seconds(seconds)
    await store(tx, request)
    return request_uri


async def store_opened(tx: AsyncSession, request: GrantRequest, settings: Settings) -> GrantRequest:
    """Raises OAuthError."""
    await require_named_grant(tx, request, request.created_at)
    request.opened_at = request.created_at
    request.ends_at = request.created_at + from_seconds(settings.consent_seconds)
    await store(tx, request)
    return request


async def open_pushed(tx: AsyncSession, form: Form, settings: Settings, now: int) -> GrantRequest:
    """The pushed request that client_id and request_uri name; everything else in the form is ignored (RFC 9126 §4).

    A reload comes to the same request, whatever became of it; raises UntrustedRequest.
    """
    named = {"client_id": ascii_hint(form.all("client_id"))}
    try:
        client_id, request_uri = form.text("client_id"), form.text("request_uri")
    except BadForm:
        raise UntrustedRequest("client_id or request_uri stands more than once", **named) from None
    request = await grant_requests.load_pushed(tx, digest(request_uri), client_id)
    if request is None or await clients.load(tx, client_id) is None:
        raise UntrustedRequest("request_uri is unknown or belongs to another client", **named)
    ends_at = now + from_seconds(settings.consent_seconds)
    if request.opened_at is None and not await grant_requests.open_pushed(tx, request.id, now, ends_at):
        raise UntrustedRequest("request_uri has expired", **named)
    return request


def ascii_hint(values: list[str]) -> str:
    """What a developer sees of a parameter that cannot be believed."""
    return ", ".join(value[:200].encode("ascii", "backslashreplace").decode() for value in values[:2])
