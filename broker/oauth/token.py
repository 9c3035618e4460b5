"""The token endpoint and the revocation endpoint: one transaction a request."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from broker.core.errors import OAuthError, Unavailable
from broker.oauth.client_credentials import ClientCredentials
from broker.oauth.clients import may_use
from broker.oauth.exchange import CodeExchange
from broker.oauth.form_post import NO_STORE, Asked, FormPost
from broker.oauth.refresh import Refresh
from broker.oauth.revoke import Revocation
from broker.store import tokens

GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    post: FormPost
    exchange: CodeExchange
    refresh: Refresh
    client_credentials: ClientCredentials

    async def endpoint(self, request: Request) -> Response:
        return await self.post.run(request, self._answer, proves=True)

    async def _answer(self, asked: Asked) -> Response:
        match _grant_type(asked):
            case "authorization_code":
                return await self._exchange(asked)
            case "refresh_token":
                return await self._refresh(asked)
            case _:
                answer = await self.post.db.write(lambda tx: self.client_credentials(tx, asked, self.post.clock()))
                return answer.to_response()

    async def _exchange(self, asked: Asked) -> Response:
        answer = await self.post.db.write(lambda tx: self.exchange(tx, asked, self.post.clock()))
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


def _grant_type(asked: Asked) -> str:
    """Raises OAuthError unless it is one that there is, and that this client may use."""
    named = asked.form.one("grant_type")
    if named is None:
        raise OAuthError("invalid_request", "grant_type is missing.")
    if named not in GRANT_TYPES:
        raise OAuthError("unsupported_grant_type", f"The grant_type must be one of {', '.join(GRANT_TYPES)}.")
    if not may_use(asked.client, named):
        raise OAuthError("unauthorized_client", "This grant_type is not one that this client registered.")
    return named


@dataclass(frozen=True, slots=True)
class RevocationEndpoint:
    post: FormPost
    revocation: Revocation

    async def endpoint(self, request: Request) -> Response:
        return await self.post.run(request, self._answer)

    async def _answer(self, asked: Asked) -> Response:
        await self.post.db.write(lambda tx: self.revocation(tx, asked, self.post.clock()))
        return Response(status_code=200, headers=NO_STORE)
