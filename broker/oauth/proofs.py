"""Which key a request for tokens proves, and what that key may be used for (RFC 9449 §5, §10)."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import OAuthError
from broker.oauth.dpop import Proof, ShownBefore, bad_proof
from broker.oauth.fapi import must_prove, profile_of
from broker.oauth.form_post import Asked
from broker.oauth.issue import no_grant, unproven
from broker.store import seen
from broker.store.grant_tables import Grant, TokenFamily


async def proof_of(tx: AsyncSession, asked: Asked, now: int) -> Proof | None:
    """The proof of this request, which is taken once and only if what it is shown for is done.

    Raises OAuthError invalid_dpop_proof, also where there is none and the client's tokens must be bound to a key.
    """
    proof = asked.proof
    if proof is None:
        if must_prove(asked.client):
            raise unproven()
        return None
    if proof.algorithm not in profile_of(asked.client).algorithms:
        raise bad_proof("an algorithm that the client may not use")
    if not await seen.once(tx, proof.digest, proof.ends_at, now):
        raise ShownBefore(proof)
    return proof


async def pushed_key(tx: AsyncSession, asked: Asked, named: str, now: int) -> str:
    """The key that a pushed request is bound to: by its proof, by its dpop_jkt, or by both (RFC 9449 §10.1)."""
    if asked.proof is None:
        return named
    proof = await proof_of(tx, asked, now)
    if proof is None or named not in ("", proof.jkt):
        raise OAuthError("invalid_request", "The dpop_jkt names another key than the DPoP proof.")
    return proof.jkt


def check_key(bound_to: str, proof: Proof | None) -> str:
    """The proven key, empty where there is none; raises OAuthError invalid_grant where another one was to be proven.

    It says no more than that: whoever shows a code or a refresh token without its key has most likely stolen it.
    """
    jkt = "" if proof is None else proof.jkt
    if bound_to not in ("", jkt):
        raise no_grant("bound to another key, or no proof of possession")
    return jkt


async def refreshed_key(tx: AsyncSession, asked: Asked, family: TokenFamily, grant: Grant, now: int) -> str:
    """The key of the next access token; a public client's refresh tokens are bound to the first that it proves."""
    if asked.proof is None and (must_prove(asked.client) or grant.dpop_required):
        raise no_grant("no proof of possession")
    jkt = check_key(family.dpop_jkt, await proof_of(tx, asked, now))
    if asked.client.public and not family.dpop_jkt:
        family.dpop_jkt = jkt
    return jkt
