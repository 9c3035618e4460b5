"""Clients that register themselves (RFC 7591): with no one's word but their own, and so unverified."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.audit.record import record
from broker.core.clock import MINUTE, SECOND, Clock, to_seconds
from broker.core.errors import OAuthError
from broker.core.handle import digest, new_handle, new_id
from broker.core.secret import Secret
from broker.core.strict_json import NotStrict, loads
from broker.identity.throttle import Throttle as Tries
from broker.identity.throttle import Wait
from broker.oauth.client_metadata import REGISTERED, BadMetadata, ClientMetadata, Members, read_metadata, wire_of
from broker.oauth.form_post import NO_STORE, AddressOf, answered, read_body
from broker.oauth.known_clients import UNUSED_FOR
from broker.oauth.throttle import Throttle, Throttled
from broker.settings import Settings
from broker.store import clients
from broker.store.database import Database
from broker.store.tables import Client

PATH = "/oauth/register"
MOST_BYTES = 65_536
TIME_TO_BE_USED = 15 * MINUTE
"""Between its registration and the first time that it asks for somebody."""


@dataclass(frozen=True, slots=True)
class Registration:
    """`tries` bounds over all workers what `throttle` bounds in each."""

    db: Database
    clock: Clock
    settings: Settings
    throttle: Throttle
    tries: Tries
    address_of: AddressOf

    async def endpoint(self, request: Request) -> Response:
        require_on(self.settings)
        return await answered(self._register(request))

    async def _register(self, request: Request) -> Response:
        address = self.address_of(request)
        self.throttle.admit(address)
        metadata = read_metadata(await read_members(request), REGISTERED)
        await self._admit(address)
        secret, token = new_secret(metadata), Secret(new_handle("reg"))
        client = await self.db.write(lambda tx: self._add(tx, metadata, secret, token))
        return JSONResponse(information(client, self.settings, token, secret), 201, NO_STORE)

    async def _admit(self, address: str) -> None:
        """Raises Throttled; in a transaction of its own, so that what fails later has counted, too."""
        now = self.clock()
        verdict = await self.db.write(lambda tx: self.tries.admit(tx, now, address=address))
        if isinstance(verdict, Wait):
            raise Throttled(max(1, (verdict.until - now) // SECOND))

    async def _add(self, tx: AsyncSession, metadata: ClientMetadata, secret: Secret | None, token: Secret) -> Client:
        now = self.clock()
        most = self.settings.most_unused_clients
        old, ripe = now - UNUSED_FOR, now - TIME_TO_BE_USED
        if not await clients.make_room(tx, "registration", old=old, ripe=ripe, most=most):
            raise OAuthError("temporarily_unavailable", "Too many clients register now. Try again later.", status=503)
        client = Client(
            id=new_id("cli"),
            source="registration",
            verified=0,
            created_at=now,
            secret_digest="" if secret is None else digest(secret.reveal()),
            registration_digest=digest(token.reveal()),
        )
        metadata.write_to(client)
        await clients.add(tx, client)
        await record(tx, now, "client.added", client.id, client.id, public=bool(client.public), verified=False)
        return client


def require_on(settings: Settings) -> None:
    """Raises HTTPException 404 where clients cannot register themselves."""
    if not settings.client_registration:
        raise HTTPException(404)


async def read_members(request: Request) -> Members:
    """The body, a JSON object; raises OAuthError or BadForm."""
    try:
        members = loads(await read_body(request, "application/json", MOST_BYTES))
    except NotStrict:
        members = None
    if not isinstance(members, dict):
        raise BadMetadata("The body is no JSON object")
    return members


def new_secret(metadata: ClientMetadata) -> Secret | None:
    return Secret(new_handle("sec")) if metadata.auth_method.startswith("client_secret_") else None


def information(client: Client, settings: Settings, token: Secret, secret: Secret | None = None) -> Members:
    """RFC 7591 §3.2.1 and RFC 7592 §3; a secret is shown when it is made, and never again."""
    told: Members = {"client_id": client.id, "client_id_issued_at": to_seconds(client.created_at)}
    if secret is not None:
        told |= {"client_secret": secret.reveal(), "client_secret_expires_at": 0}
    managed: Members = {
        "registration_client_uri": f"{settings.public_url}{PATH}/{client.id}",
        "registration_access_token": token.reveal(),
    }
    return told | wire_of(client) | managed
