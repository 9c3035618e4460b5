"""The token endpoint and the revocation endpoint: one transaction a request."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from broker.core.errors import OAuthError, Unavailable
from broker.oauth.form_post import NO_STORE, Asked, FormPost, read_form_or_json
from broker.oauth.grant_types import REFRESH, require_use
from broker.oauth.refresh import Refresh
from broker.oauth.revoke import Revocation
from broker.oauth.token_answer import TokenAnswer
from broker.store import tokens

Exchange = Callable[[AsyncSession, Asked, int], Awaitable[TokenAnswer | OAuthError]]
"""Raises OAuthError for what changes nothing, returns it where a change must be kept."""


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    post: FormPost
    refresh: Refresh
    exchanges: Mapping[str, Exchange]
    """By grant type, all but refreshing, which has something to say once it is committed."""

    async def endpoint(self, request: Request) -> Response:
        return await self.post.run(request, self._answer, proves=True)

    async def alias(self, request: Request) -> Response:
        """Where Anthropic's own library refreshes: below the base address of the proxy, and in JSON."""
        return await self.post.run(request, self._answer, proves=True, reads=read_form_or_json)

    async def _answer(self, asked: Asked) -> Response:
        named = asked.form.one("grant_type")
        if named is None:
            raise OAuthError("invalid_request", "grant_type is missing.")
        if named != REFRESH and named not in self.exchanges:
            known = ", ".join((REFRESH, *self.exchanges))
            raise OAuthError("unsupported_grant_type", f"The grant_type must be one of {known}.")
        require_use(asked.client, named)
        return await self._refresh(asked) if named == REFRESH else await self._exchange(asked, self.exchanges[named])

    async def _exchange(self, asked: Asked, exchange: Exchange) -> Response:
        answer = await self.post.db.write(lambda tx: exchange(tx, asked, self.post.clock()))
        if isinstance(answer, OAuthError):
            raise answer
        return answer.to_response()

    async def _refresh(self, asked: Asked) -> Response:
        refreshed = await self.post.db.write(lambda tx: self.refresh(tx, asked, self.post.clock()))
        if isinstance(refreshed, OAuthError):
            raise refreshed
        if refreshed.rotated:
            await self._say_when_committed(refreshed.rotated)
        return refreshed.answer.to_response()

    async def _say_when_committed(self, rotated: str) -> None:
        # The rotation stands and its answer must go out: where this write fails, a replay of the old token is refused
        # all the same, and revokes the family once the new one has been used.
        committed_at = self.post.clock()
        try:
            await self.post.db.write(lambda tx: tokens.rotation_committed(tx, rotated, committed_at))
        except Unavailable:
            return


@dataclass(frozen=True, slots=True)
class RevocationEndpoint:
    post: FormPost
    revocation: Revocation

    async def endpoint(self, request: Request) -> Response:
        return await self.post.run(request, self._answer)

    async def _answer(self, asked: Asked) -> Response:
        await self.post.db.write(lambda tx: self.revocation(tx, asked, self.post.clock()))
        return Response(status_code=200, headers=NO_STORE)
