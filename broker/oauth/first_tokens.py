"""What a person approved becomes tokens: one family for each code, whichever way the code went."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.clock import from_seconds
from broker.core.handle import digest, new_handle
from broker.core.secret import Secret
from broker.oauth.clients import may_use
from broker.oauth.form_post import Asked
from broker.oauth.grant_types import REFRESH
from broker.oauth.issue import grant_end, issue_access_token, live_accesses, no_grant
from broker.oauth.narrowing import narrowed
from broker.oauth.proofs import check_key, proof_of
from broker.oauth.signing import Signer
from broker.oauth.token_answer import TokenAnswer
from broker.settings import Settings
from broker.store import grant_requests, grants, tokens
from broker.store.grant_tables import RefreshToken, TokenFamily

Use = Callable[[str], Awaitable[bool]]
"""Uses up what is exchanged, for the family of that id; False if it was used meanwhile."""


@dataclass(frozen=True, slots=True)
class FirstTokens:
    signer: Signer
    settings: Settings

    async def __call__(
        self, tx: AsyncSession, asked: Asked, grant_id: str, request_id: str, now: int, use: Use
    ) -> TokenAnswer:
        """Everything is judged before it is used up; raises OAuthError."""
        grant = await grants.load(tx, grant_id)
        request = await grant_requests.load(tx, request_id)
        if grant is None or request is None:
            # The request says which key the code is bound to: without it nobody can tell.
            raise no_grant("the grant or its request is gone")
        live = await live_accesses(tx, grant, now)
        narrowing = narrowed(asked.form, asked.client, live, now, request.details_type)
        jkt = check_key(request.dpop_jkt, await proof_of(tx, asked, now))
        bound_to = jkt if asked.client.public else ""
        family = await tokens.open_family(tx, grant, now, details_type=request.details_type, dpop_jkt=bound_to)
        if not await use(family.id):
            raise no_grant("it was used meanwhile")
        issued = await issue_access_token(
            tx, self.signer, self.settings, grant, now=now, family_id=family.id, caps=narrowing.caps, jkt=jkt
        )
        refresh, ends_at = None, now
        if may_use(asked.client, REFRESH):
            refresh, ends_at = await new_refresh_token(tx, family, self.settings, now)
        await record(tx, now, "token.issued", grant.client_id, grant.id, family=family.id, jti=issued.jti)
        end = grant_end(live)
        return TokenAnswer(issued, grant.id, end - now, refresh, min(ends_at, end) - now, narrowing.details_type)


async def new_refresh_token(tx: AsyncSession, family: TokenFamily, settings: Settings, now: int) -> tuple[Secret, int]:
    """The token, of which only the digest is kept, and its own end; its grant's end may come sooner."""
    token = Secret(new_handle("rft"))
    ends_at = now + from_seconds(settings.refresh_token_seconds)
    row = RefreshToken(digest=digest(token.reveal()), family_id=family.id, created_at=now, ends_at=ends_at)
    await tokens.add_refresh(tx, row)
    return token, ends_at
