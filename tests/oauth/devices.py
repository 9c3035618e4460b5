"""A device as it asks, and the person's answer as the consent page will have written it."""

import json
from typing import Any

import httpx
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.handle import digest
from broker.oauth.grant_types import DEVICE_CODE
from broker.store import devices
from broker.store.grant_tables import Device, Grant, GrantRequest
from tests.oauth.world import ASKED, Registered, World, present


async def ask(world: World, client: Registered, **changes: str | None) -> httpx.Response:
    fields = {"authorization_details": json.dumps(ASKED), **client.fields(), **changes}
    return await world.http.post("/oauth/device_authorization", data=present(fields))


async def waiting(world: World, client: Registered, **changes: str | None) -> dict[str, Any]:
    """The two codes of a device that waits."""
    answer = await ask(world, client, **changes)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def poll(world: World, client: Registered, device_code: str, /, **changes: str | None) -> httpx.Response:
    fields = {"grant_type": DEVICE_CODE, "device_code": device_code, **client.fields(), **changes}
    return await world.http.post("/oauth/token", data=present(fields))


async def said(world: World, client: Registered, device_code: str, /, **changes: str | None) -> str:
    """The error of a poll."""
    answer = await poll(world, client, device_code, **changes)
    assert answer.status_code in (400, 401), answer.text
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["error"])


async def stored(world: World, device_code: str) -> tuple[Device, GrantRequest]:
    async def work(tx: AsyncSession) -> tuple[Device, GrantRequest]:
        device = await devices.load(tx, digest(device_code))
        assert device is not None
        request = await tx.get(GrantRequest, device.request_id)
        assert request is not None
        return device, request

    return await world.db.read(work)


async def approve(world: World, device_code: str) -> Grant:
    async def work(tx: AsyncSession) -> Grant:
        device = await tx.get(Device, digest(device_code))
        assert device is not None
        request = await tx.get(GrantRequest, device.request_id)
        assert request is not None
        grant = await world.grant(tx, request.client_id)
        request.state, request.grant_id, request.decided_at = "approved", grant.id, world.clock()
        return grant

    return await world.db.write(work)


async def deny(world: World, device_code: str) -> None:
    async def work(tx: AsyncSession) -> None:
        device = await tx.get(Device, digest(device_code))
        assert device is not None
        request = await tx.get(GrantRequest, device.request_id)
        assert request is not None
        request.state, request.decided_at = "denied", world.clock()

    await world.db.write(work)
