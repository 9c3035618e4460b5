"""A code becomes tokens, once (RFC 6749 §4.1.3, RFC 7636)."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.errors import OAuthError
from broker.core.forms import Form
from broker.core.handle import digest
from broker.oauth.first_tokens import FirstTokens
from broker.oauth.form_post import Asked
from broker.oauth.issue import no_grant
from broker.oauth.pkce import verifies
from broker.oauth.request import check_scope_and_resource
from broker.oauth.token_answer import TokenAnswer
from broker.settings import Settings
from broker.store import codes, grant_requests, tokens
from broker.store.grant_tables import Code


@dataclass(frozen=True, slots=True)
class CodeExchange:
    """Everything is judged before the code is used: a refused request, also one with a wrong verifier, leaves it usable."""

    first_tokens: FirstTokens
    settings: Settings

    async def __call__(self, tx: AsyncSession, asked: Asked, now: int) -> TokenAnswer | OAuthError:
        """Raises OAuthError for what changes nothing, returns it where a change must be kept."""
        check_scope_and_resource(asked.form, self.settings)
        code = await _require_code(tx, asked)
        if code.used_at is not None:
            return await _replayed(tx, code, now)
        _check_code(code, asked.form, now)
        answer = await self.first_tokens(
            tx, asked, code.grant_id, code.request_id, now, lambda family_id: codes.use(tx, code.digest, now, family_id)
        )
        await grant_requests.erase_code(tx, code.request_id)
        return answer


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
