"""A client looks after its own registration (RFC 7592): reads it, replaces it, ends it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.audit.record import record
from broker.core.errors import OAuthError
from broker.core.handle import digest, same
from broker.core.secret import Secret
from broker.oauth.client_metadata import REGISTERED, BadMetadata, Members, read_metadata
from broker.oauth.form_post import NO_STORE, answered
from broker.oauth.known_clients import has_expired
from broker.oauth.registration import Registration, information, new_secret, read_members, require_on
from broker.store import clients
from broker.store.tables import Client

_NOBODY = digest("nobody's registration")


@dataclass(frozen=True, slots=True)
class RegistrationManagement:
    registration: Registration

    async def show(self, request: Request) -> Response:
        return await self._answered(request, self._show)

    async def replace(self, request: Request) -> Response:
        return await self._answered(request, self._replace)

    async def remove(self, request: Request) -> Response:
        return await self._answered(request, self._remove)

    async def _answered(self, request: Request, work: Callable[[Request, Secret], Awaitable[Response]]) -> Response:
        require_on(self.registration.settings)
        response = await answered(self._admitted(request, work))
        if response.status_code == 401:
            response.headers["www-authenticate"] = 'Bearer error="invalid_token"'
        return response

    async def _admitted(self, request: Request, work: Callable[[Request, Secret], Awaitable[Response]]) -> Response:
        self.registration.throttle.admit(self.registration.address_of(request))
        return await work(request, _token(request.headers.getlist("authorization")))

    async def _show(self, request: Request, token: Secret) -> Response:
        client = await self.registration.db.read(lambda tx: self._require(tx, request, token))
        return JSONResponse(information(client, self.registration.settings, token), headers=NO_STORE)

    async def _replace(self, request: Request, token: Secret) -> Response:
        # Who may not is told so before anything is read of what was sent.
        await self.registration.db.read(lambda tx: self._require(tx, request, token))
        members = await read_members(request)

        async def work(tx: AsyncSession) -> tuple[Client, Secret | None]:
            client = await self._require(tx, request, token)
            return client, await _rewrite(tx, client, members, self.registration.clock())

        client, secret = await self.registration.db.write(work)
        return JSONResponse(information(client, self.registration.settings, token, secret), headers=NO_STORE)

    async def _remove(self, request: Request, token: Secret) -> Response:
        async def work(tx: AsyncSession) -> None:
            client, now = await self._require(tx, request, token), self.registration.clock()
            if await clients.remove(tx, client.id, now):
                await record(tx, now, "client.removed", client.id, client.id)

        await self.registration.db.write(work)
        return Response(status_code=204, headers=NO_STORE)

    async def _require(self, tx: AsyncSession, request: Request, token: Secret) -> Client:
        """Raises OAuthError 401, the same whether there is such a client or not (RFC 7592 §2.1)."""
        client = await clients.load(tx, request.path_params["client_id"])
        expected = client.registration_digest if client is not None and client.registration_digest else _NOBODY
        is_right = same(digest(token.reveal()), expected)
        if client is None or not is_right or has_expired(client, self.registration.clock()):
            raise _refused()
        return client


async def _rewrite(tx: AsyncSession, client: Client, members: Members, now: int) -> Secret | None:
    """What is not said is not kept (RFC 7592 §2.2); the secret is, unless another way to authenticate needs one or none."""
    if members.get("client_id") != client.id:
        raise BadMetadata("The client_id must be the one of this registration")
    shown = members.get("client_secret")
    if shown is not None and not (isinstance(shown, str) and same(digest(shown), client.secret_digest)):
        raise BadMetadata("A client cannot choose its client_secret")
    metadata = read_metadata(members, REGISTERED)
    metadata.write_to(client)
    wanted = new_secret(metadata)
    secret = None if client.secret_digest else wanted
    if wanted is None:
        client.secret_digest = ""
    elif secret is not None:
        client.secret_digest = digest(secret.reveal())
    await clients.add(tx, client)
    await record(tx, now, "client.changed", client.id, client.id)
    return secret


def _token(authorization: list[str]) -> Secret:
    """RFC 6750 §2.1; raises OAuthError 401."""
    scheme, _, token = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise _refused()
    return Secret(token.strip())


def _refused() -> OAuthError:
    return OAuthError("invalid_token", "The registration access token is not valid.", status=401)
