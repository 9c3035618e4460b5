"""A code becomes tokens, once (RFC 6749 §4.1.3, RFC 7636)."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.access import TYPE
from broker.core.clock import from_seconds
from broker.core.errors import OAuthError
from broker.core.forms import Form
from broker.core.handle import digest, new_handle
from broker.core.secret import Secret
from broker.oauth.form_post import Asked
from broker.oauth.issue import grant_end, issue_access_token, live_accesses, no_grant
from broker.oauth.narrowing import narrowed
from broker.oauth.pkce import verifies
from broker.oauth.request import check_scope_and_resource
from broker.oauth.signing import Signer
from broker.oauth.token_answer import TokenAnswer
from broker.settings import Settings
from broker.store import codes, grant_requests, grants, tokens
from broker.store.grant_tables import Code, Grant, RefreshToken, TokenFamily


@dataclass(frozen=True, slots=True)
class CodeExchange:
    """Everything is judged before the code is used: a refused request, also one with a wrong verifier, leaves it usable."""

    signer: Signer
    settings: Settings

    async def __call__(self, tx: AsyncSession, asked: Asked, now: int) -> TokenAnswer | OAuthError:
        """Raises OAuthError for what changes nothing, returns it where a change must be kept."""
        check_scope_and_resource(asked.form, self.settings)
        code = await _require_code(tx, asked)
        if code.used_at is not None:
            return await _replayed(tx, code, now)
        _check_code(code, asked.form, now)
        grant = await grants.load(tx, code.grant_id)
        if grant is None:
            raise no_grant("the grant of this code is gone")
        live = await live_accesses(tx, grant, now)
        request = await grant_requests.load(tx, code.request_id)
        details_type = TYPE if request is None else request.details_type
        narrowing = narrowed(asked.form, asked.client, live, now, details_type)
        family = await tokens.open_family(tx, grant, now, details_type=details_type)
        if not await codes.use(tx, code.digest, now, family.id):
            raise no_grant("the code was used meanwhile")
        issued = await issue_access_token(
            tx, self.signer, self.settings, grant, now=now, family_id=family.id, caps=narrowing.caps
        )
        refresh, ends_at = await new_refresh_token(tx, family, self.settings, now)
        await grant_requests.erase_code(tx, code.request_id)
        await _recorded(tx, now, grant, family, issued.jti)
        end = grant_end(live)
        return TokenAnswer(issued, grant.id, end - now, refresh, min(ends_at, end) - now, narrowing.details_type)


async def new_refresh_token(tx: AsyncSession, family: TokenFamily, settings: Settings, now: int) -> tuple[Secret, int]:
    """The token, of which only the digest is kept, and its own end; its grant's end may come sooner."""
    token = Secret(new_handle("rft"))
    ends_at = now + from_seconds(settings.refresh_token_seconds)
    row = RefreshToken(digest=digest(token.reveal()), family_id=family.id, created_at=now, ends_at=ends_at)
    await tokens.add_refresh(tx, row)
    return token, ends_at


async def _require_code(tx: AsyncSession, asked: Asked) -> Code:
    given = asked.form.one("code")
    if given is None:
        raise OAuthError("invalid_request", "code is missing.")
    code = await codes.load(tx, digest(given))
    if code is None or code.client_id != asked.client.id:
        raise no_grant("unknown code, or another client's")
    return code


def _check_code(code: Code, form: Form, now: int) -> None:
    if code.ends_at <= now:
        raise no_grant("the code has expired")
    if form.one("redirect_uri") not in (None, code.redirect_uri):
        raise no_grant("another redirect_uri")
    verifier = form.one("code_verifier")
    if verifier is None:
        raise OAuthError("invalid_request", "code_verifier is missing.")
    if not verifies(verifier, code.code_challenge):
        raise no_grant("the verifier does not fit the challenge")


async def _replayed(tx: AsyncSession, code: Code, now: int) -> OAuthError:
    """RFC 6749 §4.1.2: "SHOULD revoke (when possible) all tokens previously issued based on that authorization code."."""
    if code.family_id is not None:
        revoked = await tokens.revoke_family(tx, code.family_id, now)
        await record(tx, now, "code.replayed", code.client_id, code.grant_id, family=code.family_id, revoked=revoked)
    return no_grant("the code was used before")


async def _recorded(tx: AsyncSession, now: int, grant: Grant, family: TokenFamily, jti: str) -> None:
    await record(tx, now, "token.issued", grant.client_id, grant.id, family=family.id, jti=jti)
