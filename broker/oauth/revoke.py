"""A client gives a token back (RFC 7009): a refresh token with its whole family, an access token alone."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.errors import InvalidToken, OAuthError
from broker.core.handle import digest
from broker.oauth.form_post import Asked
from broker.oauth.signing import Signer
from broker.store import tokens


@dataclass(frozen=True, slots=True)
class Revocation:
    signer: Signer

    async def __call__(self, tx: AsyncSession, asked: Asked, now: int) -> None:
        """An unknown token and another client's are left alone, and answered like one that was revoked (RFC 7009 §2.2)."""
        given = asked.form.one("token")
        if given is None:
            raise OAuthError("invalid_request", "token is missing.")
        # RFC 7009 §2.1: a token_type_hint is only a hint; both kinds are looked for whatever it says.
        if not await _revoke_refresh(tx, digest(given), asked.client.id, now):
            await self._revoke_access(tx, given, asked.client.id, now)

    async def _revoke_access(self, tx: AsyncSession, given: str, client_id: str, now: int) -> None:
        try:
            claims = self.signer.verify_access_token(given, now)
        except InvalidToken:
            return
        row = await tokens.load_access(tx, claims.jti)
        if row is not None and row.client_id == client_id and await tokens.revoke_access(tx, row.jti, now):
            await record(tx, now, "token.revoked", client_id, row.grant_id, jti=row.jti)


async def _revoke_refresh(tx: AsyncSession, token_digest: str, client_id: str, now: int) -> bool:
    token = await tokens.load_refresh(tx, token_digest)
    if token is None:
        return False
    family = await tokens.load_family(tx, token.family_id)
    if family is not None and family.client_id == client_id and await tokens.revoke_family(tx, family.id, now):
        await record(tx, now, "token.revoked", client_id, family.grant_id, family=family.id)
    return True
