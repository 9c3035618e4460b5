"""Access tokens: a row that is judged at each call, and the signed token that names it."""

import json
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access
from broker.core.clock import from_seconds, to_seconds
from broker.core.errors import OAuthError
from broker.core.grant import LIVE, GrantState
from broker.core.handle import new_id
from broker.core.secret import Secret
from broker.oauth.fapi import must_prove
from broker.oauth.signing import MAX_TOKEN_BYTES, Signer
from broker.settings import Settings
from broker.store import clients, grants, tokens
from broker.store.accesses import as_granted
from broker.store.grant_tables import AccessToken, Grant
from broker.store.tables import Client, User

Caps = dict[str, Access]
"""Access id → what is left of it for one token; accesses that are not named are not in that token."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    token: Secret
    jti: str
    expires_in: int
    """Seconds."""
    details: tuple[Access, ...]
    """What the token is worth: the granted elements, or the narrowed ones."""
    jkt: str = ""
    """The key that it is bound to."""


@dataclass(frozen=True, slots=True)
class LiveAccess:
    id: str
    created_at: int
    ends_at: int
    granted: Access


def no_grant(detail: str) -> OAuthError:
    """RFC 6749 §5.2; the same for each reason, so that a thief learns nothing."""
    return OAuthError(
        "invalid_grant", "The grant is not valid: it is unknown, used, expired or revoked.", detail=detail
    )


def unproven() -> OAuthError:
    """RFC 9449 §5.2: what was to be bound to a key is not given without one."""
    return OAuthError("invalid_dpop_proof", "Tokens are bound to a key here: send a DPoP proof with the request.")


async def live_accesses(tx: AsyncSession, grant: Grant, now: int) -> list[LiveAccess]:
    """What the grant still gives; raises OAuthError invalid_grant where that is nothing. A paused grant still gives."""
    user = await tx.get(User, grant.user_id)
    if GrantState(grant.state) not in LIVE or user is None or user.disabled_at is not None:
        raise no_grant("the grant or its user has ended")
    rows = [row for row in await grants.load_accesses(tx, grant.id) if row.ends_at > now]
    if not rows:
        raise no_grant("no access is left in the grant")
    return [LiveAccess(row.id, row.created_at, row.ends_at, as_granted(row, grant.client_id)) for row in rows]


async def granted_details(tx: AsyncSession, grant_id: str, now: int) -> tuple[Access, ...]:
    """The granted elements that have not ended, with their end and the handle of their key; empty if there are none."""
    grant = await grants.load(tx, grant_id)
    if grant is None:
        return ()
    rows = await grants.load_accesses(tx, grant_id)
    return tuple(as_granted(row, grant.client_id) for row in rows if row.ends_at > now)


async def issue_access_token(
    tx: AsyncSession,
    signer: Signer,
    settings: Settings,
    grant: Grant,
    *,
    now: int,
    family_id: str | None = None,
    caps: Caps | None = None,
    lifetime: int | None = None,
    jkt: str = "",
    parent_jti: str | None = None,
    name: str = "",
) -> IssuedToken:
    """Writes the row and signs the token; raises OAuthError invalid_grant when the grant gives nothing any more.

    It lives for `lifetime` seconds (else as the settings say), and never longer than what it is worth. Where its client
    or its person wants tokens bound to a key, there is none without `jkt`.
    """
    if not jkt and await _must_be_bound(tx, grant):
        raise unproven()
    live = await live_accesses(tx, grant, now)
    details = [caps[access.id] if caps else access.granted for access in live if caps is None or access.id in caps]
    begins = to_seconds(now)
    end = max((element.expires_at or 0 for element in details), default=0)
    expires = min(begins + (settings.access_token_seconds if lifetime is None else lifetime), end)
    if expires <= begins:
        raise no_grant("the token would have ended already")
    row = AccessToken(
        jti=new_id("tok"),
        grant_id=grant.id,
        client_id=grant.client_id,
        family_id=family_id,
        parent_jti=parent_jti,
        created_at=now,
        ends_at=from_seconds(expires),
        caps=None if caps is None else _stored(caps),
        dpop_jkt=jkt,
        name=name,
    )
    await tokens.add_access(tx, row)
    await clients.used(tx, grant.client_id, now)
    token = Secret(_sign(signer, grant, row, details))
    return IssuedToken(token, row.jti, expires - begins, tuple(details), jkt)


async def _must_be_bound(tx: AsyncSession, grant: Grant) -> bool:
    client = await tx.get(Client, grant.client_id)
    # What a person wants now ends the tokens that are out now: one written at the same moment must not be missed.
    await grants.hold(tx, grant)
    return bool(grant.dpop_required) or client is None or must_prove(client)


def grant_end(live: list[LiveAccess]) -> int:
    """In microseconds."""
    return max(access.ends_at for access in live)


def _stored(caps: Caps) -> str:
    return json.dumps({access_id: element.to_wire() for access_id, element in caps.items()}, separators=(",", ":"))


def _sign(signer: Signer, grant: Grant, row: AccessToken, details: list[Access]) -> str:
    claims: dict[str, object] = {
        "iss": signer.issuer,
        "sub": signer.subject(grant.user_id, grant.client_id),
        "aud": signer.resource,
        "client_id": grant.client_id,
        "iat": to_seconds(row.created_at),
        "exp": to_seconds(row.ends_at),
        "jti": row.jti,
        "grant_id": grant.id,
    }
    if row.dpop_jkt:
        claims["cnf"] = {"jkt": row.dpop_jkt}
    when = {"now": row.created_at, "ends_at": row.ends_at}
    details_too = claims | {"authorization_details": [element.to_wire() for element in details]}
    full = signer.sign_access_token(details_too, **when)
    # The details are information only (the rows decide), so they are left out where they would make the token too long.
    return full if len(full) <= MAX_TOKEN_BYTES else signer.sign_access_token(claims, **when)
