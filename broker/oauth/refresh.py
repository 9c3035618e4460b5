"""A refresh token becomes another access token; a public client's is replaced each time (RFC 9700 §4.14)."""

from dataclasses import dataclass
from enum import Enum, auto

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.clock import from_seconds
from broker.core.errors import OAuthError
from broker.core.handle import digest
from broker.core.secret import Secret
from broker.oauth.first_tokens import new_refresh_token
from broker.oauth.form_post import Asked
from broker.oauth.issue import grant_end, issue_access_token, live_accesses, no_grant
from broker.oauth.narrowing import narrowed
from broker.oauth.proofs import refreshed_key
from broker.oauth.request import check_scope_and_resource
from broker.oauth.signing import Signer
from broker.oauth.token_answer import TokenAnswer
from broker.settings import Settings
from broker.store import grants, tokens
from broker.store.grant_tables import RefreshToken, TokenFamily


class Standing(Enum):
    NEWEST = auto()
    IN_GRACE = auto()
    LOST_RACE = auto()
    REUSED = auto()


def judge(token: RefreshToken, *, was_used: bool, arrived_at: int, now: int, grace: int) -> Standing:
    """Where a presented token stands; instants and `grace` in microseconds. `was_used`: what came after it was used.

    A request that had arrived before the rotation was committed lost a race and is no reuse. `rotated_at` is empty until
    the winner has said when that was, and until then nobody can have received the successor, or used it.
    """
    if not token.successor:
        return Standing.NEWEST
    if token.rotated_at is None:
        lost, in_grace = not was_used, grace > 0
    else:
        lost, in_grace = arrived_at <= token.rotated_at, now < token.rotated_at + grace
    if in_grace and not was_used:
        return Standing.IN_GRACE
    return Standing.LOST_RACE if lost else Standing.REUSED


@dataclass(frozen=True, slots=True)
class Refreshed:
    answer: TokenAnswer
    rotated: str
    """Digest of the token that was replaced; empty where none was."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Everything is judged before the token is replaced: a refused request leaves it usable."""

    signer: Signer
    settings: Settings

    async def __call__(self, tx: AsyncSession, asked: Asked, now: int) -> Refreshed | OAuthError:
        """Raises OAuthError for what changes nothing, returns it where a change must be kept."""
        check_scope_and_resource(asked.form, self.settings)
        given = asked.form.one("refresh_token")
        if given is None:
            raise OAuthError("invalid_request", "refresh_token is missing.")
        token, family = await _require(tx, digest(given), asked.client.id, now)
        standing = await self._standing(tx, token, asked.arrived_at, now)
        if standing is Standing.REUSED:
            return await _reused(tx, family, now)
        if standing is Standing.LOST_RACE:
            raise no_grant("replaced by a request at the same time")
        return await self._issue(tx, asked, Secret(given), token, family, now)

    async def _standing(self, tx: AsyncSession, token: RefreshToken, arrived_at: int, now: int) -> Standing:
        was_used = bool(token.successor) and await tokens.was_used_after(tx, token)
        grace = from_seconds(self.settings.refresh_grace_seconds)
        return judge(token, was_used=was_used, arrived_at=arrived_at, now=now, grace=grace)

    async def _issue(
        self, tx: AsyncSession, asked: Asked, given: Secret, token: RefreshToken, family: TokenFamily, now: int
    ) -> Refreshed:
        grant = await grants.load(tx, family.grant_id)
        if grant is None:
            raise no_grant("the grant of this token is gone")
        live = await live_accesses(tx, grant, now)
        narrowing = narrowed(asked.form, asked.client, live, now, family.details_type)
        jkt = await refreshed_key(tx, asked, family, grant, now)
        issued = await issue_access_token(
            tx, self.signer, self.settings, grant, now=now, family_id=family.id, caps=narrowing.caps, jkt=jkt
        )
        refresh, ends_at, rotated = given, token.ends_at, ""
        if asked.client.public:
            refresh, ends_at = await new_refresh_token(tx, family, self.settings, now)
            if await tokens.rotate(tx, token.digest, digest(refresh.reveal())):
                rotated = token.digest
        await record(tx, now, "token.refreshed", grant.client_id, grant.id, family=family.id, jti=issued.jti)
        end = grant_end(live)
        left = min(ends_at, end) - now
        return Refreshed(TokenAnswer(issued, grant.id, end - now, refresh, left, narrowing.details_type), rotated)


async def _require(tx: AsyncSession, token_digest: str, client_id: str, now: int) -> tuple[RefreshToken, TokenFamily]:
    token = await tokens.load_refresh(tx, token_digest)
    family = None if token is None else await tokens.load_family(tx, token.family_id)
    if token is None or family is None or family.client_id != client_id:
        raise no_grant("unknown refresh token, or another client's")
    if family.revoked_at is not None or token.ends_at <= now:
        raise no_grant("the refresh token is revoked or has expired")
    return token, family


async def _reused(tx: AsyncSession, family: TokenFamily, now: int) -> OAuthError:
    await tokens.revoke_family(tx, family.id, now)
    await record(tx, now, "refresh_token.reused", family.client_id, family.grant_id, family=family.id)
    return no_grant("a refresh token that had been replaced was used again")
