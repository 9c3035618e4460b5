"""The person decides on the consent page, and the device hears of it by asking."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.oauth.grant_types import DEVICE_CODE
from broker.store.grant_tables import ConsentReceipt, GrantRequest
from broker.store.tables import Client, Credential
from tests.browser import Browser
from tests.device.conftest import WISH, House

pytestmark = pytest.mark.usefixtures("key")


async def opened(house: House, ana: Browser, client: Client, **changed: str) -> dict[str, Any]:
    """A device's codes, the short one entered: the consent page is there."""
    codes = await house.ask(client, **changed)
    await ana.go("/device")
    await ana.press("Continue", user_code=codes["user_code"])
    assert ana.path.startswith("/consent/")
    return codes


async def test_the_page_says_what_is_known_of_the_device(house: House, ana: Browser, cli: Client) -> None:
    codes = await house.ask(cli, device_name="Draft CLI on ana-laptop")
    house.clock.turn(65)
    await ana.go("/device")
    page = await ana.press("Continue", user_code=codes["user_code"])
    told = f"Code on your device: {codes['user_code']} . Deny if your device shows something else."
    assert told.replace(" .", ".") in page.text.replace(" .", ".")
    assert "Asked 1 minute ago from 203.0.113.7." in page.text.replace(" .", ".")
    assert "The device says it is: “Draft CLI on ana-laptop”. We cannot check this." in page.text
    assert page.text.index("Code on your device") < page.text.index("If you approve, Draft CLI")
    assert "Your device continues by itself." in page.text
    assert "you go back to" not in page.text
    assert "This request stays open until 13:15 UTC" in page.text
    assert "reload the page" not in page.text


async def test_a_claim_cannot_speak_for_us(house: House, ana: Browser, cli: Client) -> None:
    await opened(house, ana, cli, device_name="x”. <b>Checked by Broker</b>\n\u202eyletefas\u202c")
    assert "<b>Checked" not in ana.response.text
    assert "\u202e" not in ana.page.text
    assert "“x”. <b>Checked by Broker</b> yletefas”. We cannot check this." in ana.page.text


async def test_a_device_that_says_nothing_is_given_no_words(house: House, ana: Browser, cli: Client) -> None:
    await opened(house, ana, cli, device_name="\u200b \u202e")
    assert "The device says" not in ana.page.text


async def test_approving_sends_nobody_anywhere_and_gives_the_device_its_tokens(
    house: House, ana: Browser, cli: Client
) -> None:
    codes = await opened(house, ana, cli)
    page = await ana.press("Approve", None, **{"access-0-budget": "2.00"})
    assert (ana.status, page.h1, ana.elsewhere) == (200, "Your device is connected", "")
    assert "You can close this page and go back to it." in page.text
    assert "Draft CLI can spend up to $2.00 from Personal (OpenAI)" in page.text
    assert "You lowered: spending limit $5.00 → $2.00." in page.text
    assert "http-equiv" not in ana.response.text
    (grant,) = await house.grants()
    assert ("Manage this access", f"/grants/{grant.id}") in page.links
    tokens = await house.poll(cli, codes["device_code"])
    assert tokens["grant_id"] == grant.id
    assert tokens["authorization_details"][0]["budget"]["amount"] == "2.00"
    assert (await house.poll(cli, codes["device_code"]))["error"] == "invalid_grant"


async def test_no_authorization_code_is_made(house: House, ana: Browser, cli: Client) -> None:
    await opened(house, ana, cli)
    request_id = ana.path.split("/")[2]
    await ana.press("Approve")

    async def read(tx: AsyncSession) -> str:
        request = await tx.get(GrantRequest, request_id)
        assert request is not None
        return request.sealed_code

    assert await house.lending.db.read(read) == ""
    assert "cod_" not in ana.response.text


async def test_denying_is_told_to_the_device(house: House, ana: Browser, cli: Client) -> None:
    codes = await opened(house, ana, cli)
    page = await ana.press("Deny")
    assert (page.h1, ana.elsewhere) == ("Denied", "")
    assert "Draft CLI gets nothing: no access, no key, no spending." in page.text
    assert "http-equiv" not in ana.response.text
    assert (await house.poll(cli, codes["device_code"]))["error"] == "access_denied"
    assert await house.grants() == []


async def test_a_reload_of_the_answer_is_the_same_for_a_minute(house: House, ana: Browser, cli: Client) -> None:
    codes = await opened(house, ana, cli)
    consent = ana.path
    await ana.press("Approve")
    await house.poll(cli, codes["device_code"])
    assert (await ana.go(f"{consent}/done")).h1 == "Your device is connected"
    house.clock.turn(60)
    assert (await ana.go(f"{consent}/done")).h1 == "You already answered this"


async def test_looking_at_the_page_keeps_no_device_waiting_longer(house: House, ana: Browser, cli: Client) -> None:
    codes = await opened(house, ana, cli)
    consent = ana.path
    house.clock.turn(599)
    form = (await ana.go(consent)).forms[0]
    house.clock.turn(1)
    page = await ana.submit(form, "Approve")
    assert (ana.status, page.h1) == (410, "This request has ended")
    assert "Go back to your device and start again." in page.text
    assert not any(text.startswith("Return to") for text, _ in page.links)
    assert await house.grants() == []
    assert (await house.poll(cli, codes["device_code"]))["error"] == "expired_token"


async def test_nobody_has_checked_an_unverified_device_app_nor_its_addresses(house: House, ana: Browser) -> None:
    client = await house.lending.client(
        "Bank", verified=0, address="https://bank.example", redirect_uris='["https://bank.example/back"]'
    )
    codes = await opened(house, ana, client)
    assert "Check that your device shows the code below." in ana.page.text
    assert "bank.example" not in ana.page.text
    assert f"I started this myself, and my device shows {codes['user_code']}" in ana.page.text
    page = await ana.press("Approve")
    assert (ana.status, "Tick the box if you started this yourself" in page.text) == (422, True)
    assert f"Code on your device: {codes['user_code']}" in page.text
    page = await ana.press("Approve", known="1")
    assert page.h1 == "Your device is connected"


async def test_a_returning_device_goes_on_with_the_grant_and_asks_each_time(
    house: House, ana: Browser, cli: Client
) -> None:
    for heading in ("Draft CLI wants to use your OpenAI key", "Reconnect Draft CLI?"):
        codes = await opened(house, ana, cli)
        assert ana.page.h1 == heading
        await ana.press("Approve" if heading.startswith("Draft") else "Reconnect")
        assert "access_token" in await house.poll(cli, codes["device_code"])
    assert len(await house.grants()) == 1


async def test_a_device_may_ask_for_another_grant(house: House, ana: Browser, cli: Client) -> None:
    for _ in range(2):
        codes = await opened(house, ana, cli, grant_management_action="create")
        await ana.press("Approve")
        assert "access_token" in await house.poll(cli, codes["device_code"])
    assert len(await house.grants()) == 2


async def test_a_request_nobody_has_entered_the_code_of_is_nobodys_to_open(
    house: House, ana: Browser, cli: Client
) -> None:
    await house.ask(cli)

    async def only(tx: AsyncSession) -> str:
        return str((await tx.exec(select(GrantRequest.id))).one())

    request_id = await house.lending.db.read(only)
    await ana.go(f"/consent/{request_id}")
    assert ana.status == 404


async def test_a_link_leads_nobody_past_the_warning(house: House, ana: Browser, cli: Client) -> None:
    codes = await opened(house, ana, cli)
    ben = await house.person("ben")
    await ben.go(ana.path)
    assert ben.status == 404
    assert all(label != "Not you?" for label, _ in ana.page.links)
    await ana.press("Approve")
    assert "access_token" in await house.poll(cli, codes["device_code"])


async def test_codes_are_in_no_log(
    house: House, ana: Browser, cli: Client, key: Credential, capfd: pytest.CaptureFixture[str]
) -> None:
    codes = await house.ask(cli)
    await house.poll(cli, codes["device_code"])
    await ana.go(codes["verification_uri_complete"].removeprefix(house.settings.public_url))
    await ana.press("Continue", user_code="ZZZZ-ZZZZ")
    await ana.press("Continue", user_code=codes["user_code"])
    await ana.press("Approve")
    fields = {"grant_type": DEVICE_CODE, "client_id": cli.id, "device_code": codes["device_code"]}
    wrong = {"authorization_details": json.dumps([WISH | {"models": ["gpt-4.1", "o3"]}])}
    assert (await house.http.post("/oauth/token", data=fields | wrong)).status_code == 400
    await house.poll(cli, codes["device_code"])
    await house.poll(cli, codes["device_code"])
    said = "".join(capfd.readouterr())
    assert "oauth_error" in said
    letters = codes["user_code"].replace("-", "")
    assert not any(code in said for code in (codes["device_code"], codes["user_code"], letters, "ZZZZ"))


async def test_the_receipt_has_what_was_said_of_the_device(house: House, ana: Browser, cli: Client) -> None:
    codes = await opened(house, ana, cli, device_name="Ana's laptop")
    await ana.press("Approve")

    async def only(tx: AsyncSession) -> ConsentReceipt:
        return (await tx.exec(select(ConsentReceipt))).one()

    receipt = await house.lending.db.read(only)
    assert f"Code on your device: {codes['user_code']}." in receipt.shown
    assert "Asked just now from 203.0.113.7." in receipt.shown
    assert "The device says it is: “Ana's laptop”. We cannot check this." in receipt.shown
    body = receipt.signed.split(".")[1]
    claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert claims["request"]["kind"] == "device"
    assert codes["user_code"] not in json.dumps(claims)
