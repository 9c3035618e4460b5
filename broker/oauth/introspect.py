"""A client asks what one of its own tokens is worth now (RFC 7662): judged by the rows, as the proxy judges them."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.core.access import TPX_TYPE, TYPE
from broker.core.clock import to_seconds
from broker.core.errors import InvalidToken, OAuthError
from broker.core.handle import digest
from broker.ledger.view import Wire, grant_object
from broker.ledger.worth import worth_of
from broker.oauth import tpx
from broker.oauth.form_post import NO_STORE, Asked, FormPost
from broker.oauth.issue import grant_end, live_accesses
from broker.oauth.signing import Signer
from broker.oauth.token_answer import in_type
from broker.store import grants, tokens

INACTIVE: Wire = {"active": False}
"""Whatever the reason, so that nobody learns of another's token that it is one (RFC 7662 §2.2)."""


@dataclass(frozen=True, slots=True)
class Introspection:
    signer: Signer

    async def __call__(self, tx: AsyncSession, asked: Asked, now: int) -> Wire:
        """Raises OAuthError; a token_type_hint is only a hint, so both kinds are looked for whatever it says."""
        if asked.client.public:
            # RFC 7662 §2.1: "the endpoint MUST also require some form of authorization to access this endpoint".
            raise OAuthError("invalid_client", "A public client cannot authenticate itself here.", status=401)
        given = asked.form.one("token")
        if given is None:
            raise OAuthError("invalid_request", "token is missing.")
        return (
            await self._access(tx, given, asked.client.id, now)
            or await self._refresh(tx, digest(given), asked.client.id, now)
            or INACTIVE
        )

    async def _access(self, tx: AsyncSession, given: str, client_id: str, now: int) -> Wire | None:
        try:
            jti = self.signer.verify_access_token(given, now).jti
        except InvalidToken:
            return None
        row = await tokens.load_access(tx, jti)
        grant = None if row is None else await grants.load(tx, row.grant_id)
        if row is None or grant is None or row.client_id != client_id:
            return None
        worth = await worth_of(tx, row, now)
        if worth is None:
            return None
        family = None if row.family_id is None else await tokens.load_family(tx, row.family_id)
        details_type = TYPE if family is None else family.details_type
        told = {
            **self._common(grant.user_id, client_id, row.created_at, row.ends_at, row.dpop_jkt),
            "aud": self.signer.resource,
            "token_type": "DPoP" if row.dpop_jkt else "Bearer",
            "jti": jti,
            "authorization_details": in_type(worth.details, details_type),
            "grant_id": grant.id,
            "grant_state": worth.state.value,
            "usage": list(worth.usage),
        }
        if row.parent_jti is not None:
            told |= {"parent_jti": row.parent_jti} | ({"agent_name": row.name} if row.name else {})
        return tpx.introspected(told, worth.usage) if details_type == TPX_TYPE else told

    async def _refresh(self, tx: AsyncSession, token_digest: str, client_id: str, now: int) -> Wire | None:
        token = await tokens.load_refresh(tx, token_digest)
        family = None if token is None else await tokens.load_family(tx, token.family_id)
        if token is None or family is None or family.client_id != client_id:
            return None
        grant = await grants.load(tx, family.grant_id)
        if token.successor or token.ends_at <= now or family.revoked_at is not None or grant is None:
            return None
        try:
            live = await live_accesses(tx, grant, now)
        except OAuthError:
            return None
        about = await grant_object(tx, grant, now)
        return {
            **self._common(
                grant.user_id, client_id, token.created_at, min(token.ends_at, grant_end(live)), family.dpop_jkt
            ),
            "aud": self.signer.issuer,
            "authorization_details": in_type(tuple(access.granted for access in live), family.details_type),
            "grant_id": grant.id,
            "grant_state": about["state"],
            "usage": about["access"],
        }

    def _common(self, user_id: str, client_id: str, begins: int, ends: int, jkt: str) -> Wire:
        told: Wire = {
            "active": True,
            "iss": self.signer.issuer,
            "sub": self.signer.subject(user_id, client_id),
            "client_id": client_id,
            "iat": to_seconds(begins),
            "exp": to_seconds(ends),
        }
        return told | {"cnf": {"jkt": jkt}} if jkt else told


@dataclass(frozen=True, slots=True)
class IntrospectionEndpoint:
    post: FormPost
    introspection: Introspection

    async def endpoint(self, request: Request) -> Response:
        return await self.post.run(request, self._answer)

    async def _answer(self, asked: Asked) -> Response:
        told = await self.post.db.read(lambda tx: self.introspection(tx, asked, self.post.clock()))
        return JSONResponse(told, headers=NO_STORE)
