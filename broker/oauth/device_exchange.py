"""A device asks again and again whether the person has answered, and once they approved gets its tokens, once (RFC 8628 §3.4)."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.errors import OAuthError
from broker.core.grant import RequestState
from broker.core.handle import digest
from broker.oauth.first_tokens import FirstTokens
from broker.oauth.form_post import Asked
from broker.oauth.issue import no_grant
from broker.oauth.request import check_scope_and_resource
from broker.oauth.token_answer import TokenAnswer
from broker.settings import Settings
from broker.store import devices, grant_requests
from broker.store.grant_tables import Device

SLOWER = 5
"""Seconds that each poll which comes too soon adds to the interval (RFC 8628 §3.5)."""


@dataclass(frozen=True, slots=True)
class DeviceExchange:
    first_tokens: FirstTokens
    settings: Settings

    async def __call__(self, tx: AsyncSession, asked: Asked, now: int) -> TokenAnswer | OAuthError:
        """Raises OAuthError for what changes nothing, returns it where a change must be kept."""
        check_scope_and_resource(asked.form, self.settings)
        device = await _require_device(tx, asked)
        request = await grant_requests.load(tx, device.request_id)
        if device.used_at is not None:
            return await _used(tx, asked, device, "" if request is None else request.grant_id or "", now)
        if device.ends_at <= now:
            raise OAuthError("expired_token", "The device code has expired: ask for another one.")
        if request is None or request.state == RequestState.DENIED.value:
            raise OAuthError("access_denied", "The request was denied.")
        if request.grant_id is None:
            return await _pending(tx, asked, device)
        return await self.first_tokens(
            tx,
            asked,
            request.grant_id,
            request.id,
            now,
            lambda family_id: devices.use(tx, device.digest, now, family_id),
        )


async def _require_device(tx: AsyncSession, asked: Asked) -> Device:
    given = asked.form.one("device_code")
    if given is None:
        raise OAuthError("invalid_request", "device_code is missing.")
    device = await devices.load(tx, digest(given))
    if device is None or device.client_id != asked.client.id:
        raise no_grant("unknown device code, or another client's")
    return device


async def _pending(tx: AsyncSession, asked: Asked, device: Device) -> OAuthError:
    """Polls are timed by when they arrived, so that no client is blamed for a queue of ours."""
    if await devices.poll(tx, device.digest, asked.arrived_at):
        return OAuthError("authorization_pending", "The person has not answered yet.")
    await devices.slow_down(tx, device.digest, asked.arrived_at, SLOWER)
    return OAuthError("slow_down", f"Polled too soon: wait {SLOWER} seconds longer between two polls from now on.")


async def _used(tx: AsyncSession, asked: Asked, device: Device, grant_id: str, now: int) -> OAuthError:
    # No tokens are revoked, unlike those of an authorization code: this one passes through no browser, RFC 8628 wants no
    # more than a refusal, and a device whose polls overlapped would lose what it has just got.
    if asked.arrived_at > (device.used_at or 0):
        await record(tx, now, "device_code.replayed", device.client_id, grant_id, family=device.family_id)
    return no_grant("the device code was used before")
