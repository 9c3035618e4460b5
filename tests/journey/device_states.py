"""The page on which a code is entered, and what comes of it."""

import json
from typing import Any

import httpx
from playwright.async_api import Page

from tests.journey.cast import HOSTILE, Cast, state
from tests.journey.hands import decide, press
from tests.journey.place import WISH


async def codes(cast: Cast, name: str = "Draft CLI on ana-laptop", **client: Any) -> dict[str, Any]:
    """Of a device that waits."""
    asks = await cast.place.client("Draft CLI", **({"redirect_uris": "[]"} | client))
    fields = {"client_id": asks.id, "authorization_details": json.dumps([WISH]), "device_name": name}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(f"{cast.place.url}/oauth/device_authorization", data=fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def entered(cast: Cast, page: Page, device: dict[str, Any]) -> None:
    await page.goto(device["verification_uri_complete"])
    await press(page, "Continue")


@state("ana")
async def device(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/device")


@state("ana")
async def device_from_a_link(cast: Cast, page: Page) -> None:
    await page.goto((await codes(cast))["verification_uri_complete"])


@state("ana")
async def device_with_nothing_typed(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/device")
    await press(page, "Continue")


@state("ana")
async def consent_to_a_device(cast: Cast, page: Page) -> None:
    await entered(cast, page, await codes(cast))


@state("ana")
async def consent_to_a_device_nobody_checked(cast: Cast, page: Page) -> None:
    await entered(cast, page, await codes(cast, HOSTILE[:80], verified=0, address=""))


@state("ana")
async def device_connected(cast: Cast, page: Page) -> None:
    await entered(cast, page, await codes(cast))
    await decide(page, "Approve")


@state("ana")
async def device_denied(cast: Cast, page: Page) -> None:
    await entered(cast, page, await codes(cast))
    await decide(page, "Deny")
