"""A client acts for itself (RFC 6749 §4.4): tokens for a grant that the operator gave it, without anybody being asked."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.access import TYPE
from broker.core.errors import OAuthError
from broker.oauth.form_post import Asked
from broker.oauth.issue import grant_end, issue_access_token, live_accesses, no_grant
from broker.oauth.narrowing import narrowed
from broker.oauth.proofs import check_key, proof_of
from broker.oauth.request import check_scope_and_resource
from broker.oauth.signing import Signer
from broker.oauth.token_answer import TokenAnswer
from broker.settings import Settings
from broker.store import grants
from broker.store.grant_tables import Grant


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """No refresh token is given (RFC 6749 §4.4.3): the client can ask again."""

    signer: Signer
    settings: Settings

    async def __call__(self, tx: AsyncSession, asked: Asked, now: int) -> TokenAnswer:
        """Raises OAuthError."""
        if asked.client.public:
            # RFC 6749 §4.4: "The client credentials grant type MUST only be used by confidential clients."
            raise OAuthError("unauthorized_client", "A public client cannot act for itself.")
        check_scope_and_resource(asked.form, self.settings)
        grant = await _require_grant(tx, asked, now)
        live = await live_accesses(tx, grant, now)
        narrowing = narrowed(asked.form, asked.client, live, now, TYPE)
        jkt = check_key("", await proof_of(tx, asked, now))
        issued = await issue_access_token(tx, self.signer, self.settings, grant, now=now, caps=narrowing.caps, jkt=jkt)
        await record(tx, now, "token.issued", grant.client_id, grant.id, jti=issued.jti)
        return TokenAnswer(issued, grant.id, grant_end(live) - now, details_type=narrowing.details_type)


async def _require_grant(tx: AsyncSession, asked: Asked, now: int) -> Grant:
    """The one that `grant_id` names, else the newest; never one that a person gave, whose code this client has to have."""
    named = asked.form.one("grant_id")
    if named is None:
        grant = await grants.newest_from_operator(tx, asked.client.id, now)
    else:
        grant = await grants.load(tx, named)
    if grant is None or grant.client_id != asked.client.id or grant.origin != "operator":
        raise no_grant("no grant of the operator's for this client")
    return grant
