"""Pushed authorization requests (RFC 9126)."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.core.errors import OAuthError
from broker.oauth.asked_details import Catalogue
from broker.oauth.fapi import profile_of
from broker.oauth.form_post import NO_STORE, Asked, FormPost
from broker.oauth.proofs import pushed_key
from broker.oauth.request import Origin, check_request, is_registered, store_pushed
from broker.settings import Settings
from broker.store.grant_tables import GrantRequest


@dataclass(frozen=True, slots=True)
class PushedRequests:
    """All checks of an authorization request, made now; what is stored is what the person will be shown."""

    post: FormPost
    settings: Settings
    catalogue: Catalogue

    async def endpoint(self, request: Request) -> Response:
        return await self.post.run(request, self._answer, proves=True)

    async def _answer(self, asked: Asked) -> Response:
        uri = asked.form.one("redirect_uri")
        if uri is None or not is_registered(asked.client, uri):
            raise OAuthError("invalid_request", "The redirect_uri is missing or not registered for this client.")
        origin = Origin(asked.client, uri, asked.form.one("state"))
        pushed = check_request(asked.form, origin, self.settings, self.catalogue, self.post.clock())
        seconds = min(self.settings.par_seconds, profile_of(asked.client).most_par_seconds)
        request_uri = await self.post.db.write(lambda tx: self._store(tx, asked, pushed, seconds))
        body = {"request_uri": request_uri, "expires_in": seconds}
        return JSONResponse(body, 201, NO_STORE)

    async def _store(self, tx: AsyncSession, asked: Asked, pushed: GrantRequest, seconds: int) -> str:
        pushed.dpop_jkt = await pushed_key(tx, asked, pushed.dpop_jkt, self.post.clock())
        return await store_pushed(tx, pushed, seconds)
