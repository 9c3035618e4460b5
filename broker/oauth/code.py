"""The authorization code: made at approval, and the way back to the client."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import from_seconds
from broker.core.handle import digest, new_handle
from broker.core.secret import Secret
from broker.oauth.fapi import FAPI2, profile_of
from broker.oauth.redirect_uri import with_answer
from broker.settings import Settings
from broker.store import clients, codes, grant_requests
from broker.store.grant_tables import Code, Grant, GrantRequest
from broker.vault.places import code_place
from broker.vault.vault import Vault


async def make_code(
    tx: AsyncSession, vault: Vault, request: GrantRequest, grant: Grant, now: int, settings: Settings
) -> Secret:
    """Stores its digest, and a sealed copy on the request for the page that leads back."""
    code = Secret(new_handle("cod"))
    client = await clients.load(tx, request.client_id)
    most = FAPI2 if client is None else profile_of(client)
    await codes.add(
        tx,
        Code(
            digest=digest(code.reveal()),
            request_id=request.id,
            grant_id=grant.id,
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            ends_at=now + from_seconds(min(settings.code_seconds, most.most_code_seconds)),
        ),
    )
    await grant_requests.keep_code(tx, request.id, vault.seal(code, code_place(request)))
    return code


async def kept_code(tx: AsyncSession, vault: Vault, request: GrantRequest, now: int) -> Secret | None:
    """The copy for the done page; None once the code was exchanged or has ended."""
    if not request.sealed_code:
        return None
    code = vault.open(request.sealed_code, code_place(request))
    row = await codes.load(tx, digest(code.reveal()))
    return None if row is None or row.used_at is not None or row.ends_at <= now else code


def redirect_back(
    request: GrantRequest, issuer: str, *, code: Secret | None = None, error: str | None = None, description: str = ""
) -> str:
    """The client's own address with code or error, its state unchanged, and iss (RFC 9207)."""
    if (code is None) == (error is None):
        raise ValueError("an answer is a code or an error")
    answer = {"code": code.reveal()} if code is not None else {"error": error or ""}
    if description:
        answer["error_description"] = description
    return answer_address(request.redirect_uri, request.client_state, issuer, answer)


def answer_address(redirect_uri: str, state: str | None, issuer: str, answer: dict[str, str]) -> str:
    stated = {} if state is None else {"state": state}
    return with_answer(redirect_uri, answer | stated | {"iss": issuer})
