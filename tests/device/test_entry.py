"""/device: a code is entered and compared; nothing is approved by it, however it came."""

from pathlib import Path

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.settings import Settings
from broker.store.tables import Attempt, Client, Credential
from broker.web import messages
from tests.browser import Browser
from tests.device.conftest import House

FIELD = "user_code"


async def enter(browser: Browser, code: str) -> str:
    """What is wrong with it, by the field; empty once the consent page is there."""
    await browser.go("/device")
    page = await browser.press("Continue", user_code=code)
    return "" if browser.path.startswith("/consent/") else page.text


async def test_the_warning_is_read_before_the_field(ana: Browser) -> None:
    page = await ana.go("/device")
    assert page.h1 == "Connect a device"
    assert (2, "Only continue if you started this yourself") in page.headings
    assert page.text.index("Only continue if") < page.text.index("Code shown on your device")
    field = page.field(FIELD)
    assert field.attributes["autocomplete"] == "off"
    assert (field.attributes["autocapitalize"], field.attributes["spellcheck"]) == ("characters", "false")


@pytest.mark.parametrize("written", ["{0}-{1}", "{0}{1}", " {0} {1} "])
@pytest.mark.parametrize("is_small", [False, True])
async def test_however_it_is_written_a_right_code_leads_to_the_consent_page(
    house: House, ana: Browser, cli: Client, key: Credential, written: str, is_small: bool
) -> None:
    codes = await house.ask(cli)
    typed = written.format(*codes["user_code"].split("-"))
    assert await enter(ana, typed.lower() if is_small else typed) == ""
    assert f"Code on your device: {codes['user_code']}" in ana.page.text
    labels = [button.label for form in ana.page.forms for button in form.buttons]
    assert {"Deny", "Approve"} <= set(labels)
    assert (await house.poll(cli, codes["device_code"]))["error"] == "authorization_pending"
    assert await house.grants() == []


async def test_a_link_fills_in_the_field_and_does_nothing_else(house: House, ana: Browser, cli: Client) -> None:
    codes = await house.ask(cli)
    page = await ana.go(codes["verification_uri_complete"].removeprefix(house.settings.public_url))
    assert (ana.status, page.h1) == (200, "Connect a device")
    assert page.field(FIELD).attributes["value"] == codes["user_code"]
    assert "readonly" not in page.field(FIELD).attributes
    assert "Check that your device shows exactly this." in page.text
    assert await house.grants() == []
    assert (await house.poll(cli, codes["device_code"]))["error"] == "authorization_pending"
    page = await ana.press("Continue")
    assert f"Code on your device: {codes['user_code']}" in page.text


@pytest.mark.parametrize("text", ["<b>WDJB", "call 0900", "WDJB-MJHT\u202e", "A" * 500])
async def test_a_link_cannot_put_words_on_the_page(ana: Browser, text: str) -> None:
    page = await ana.go(f"/device?user_code={text}")
    shown = page.field(FIELD).attributes.get("value", "")
    assert shown in ("", "WDJB-MJHT")


async def test_nothing_typed_is_no_try(ana: Browser) -> None:
    for _ in range(8):
        page = await enter(ana, "  ")
        assert messages.ENTER_DEVICE_CODE in page
    assert (ana.status, ana.page.title.startswith("Error: ")) == (422, True)


async def test_each_wrong_code_has_its_message(house: House, ana: Browser, cli: Client, key: Credential) -> None:
    assert messages.DEVICE_CODE_UNKNOWN in await enter(ana, "BCDF-GHJK")
    used, old = await house.ask(cli), await house.ask(cli)
    await enter(ana, used["user_code"])
    await ana.press("Deny")
    assert messages.DEVICE_CODE_USED in await enter(ana, used["user_code"])
    house.clock.turn(600)
    ended = "That code has ended. Codes last 10 minutes. Get a new one on your device"
    assert ended in await enter(ana, old["user_code"])
    assert ana.page.field(FIELD).attributes["value"] == old["user_code"]


async def test_who_entered_a_code_can_come_back_with_it_and_nobody_else(
    house: House, ana: Browser, cli: Client, key: Credential
) -> None:
    code = (await house.ask(cli))["user_code"]
    assert await enter(ana, code) == ""
    consent = ana.path
    ben = await house.person("ben")
    assert messages.DEVICE_CODE_USED in await enter(ben, code)
    assert (await enter(ana, code), ana.path) == ("", consent)


async def test_five_wrong_codes_make_a_person_wait(house: House, ana: Browser, cli: Client) -> None:
    right = (await house.ask(cli))["user_code"]
    for number in range(5):
        assert messages.DEVICE_CODE_UNKNOWN in await enter(ana, f"wrong{number}")
    page = await enter(ana, right)
    assert ana.status == 429
    assert "Too many tries. Wait 5 minutes, until 13:10 UTC" in page
    assert int(ana.response.headers["retry-after"]) == 300
    elsewhere = await house.person("ben", "198.51.100.9")
    assert await enter(elsewhere, right) == ""
    house.clock.turn(300)
    assert messages.DEVICE_CODE_USED in await enter(ana, right)


async def test_five_wrong_codes_from_one_address_make_everybody_there_wait(house: House) -> None:
    people = [await house.person(name, "198.51.100.9") for name in ("ben", "cleo", "dora")]
    for number in range(5):
        await enter(people[number % 2], f"wrong{number}")
    await enter(people[2], "wrong5")
    assert people[2].status == 429
    elsewhere = await house.person("eva", "198.51.100.10")
    assert messages.DEVICE_CODE_UNKNOWN in await enter(elsewhere, "wrong6")


async def test_the_tries_are_those_of_all_workers(house: House, ana: Browser) -> None:
    for number in range(5):
        await enter(ana, f"wrong{number}")
    assert await house.lending.db.read(_kept) == 10


async def _kept(tx: AsyncSession) -> int:
    return len((await tx.exec(select(Attempt))).all())


async def test_right_codes_do_not_count_as_tries(house: House, ana: Browser, cli: Client, key: Credential) -> None:
    for _ in range(7):
        assert await enter(ana, (await house.ask(cli))["user_code"]) == ""


async def test_who_is_not_signed_in_is_led_back_with_the_code(house: House) -> None:
    browser = house.browser()
    await browser.go("/device?user_code=wdjbmjht")
    assert browser.path == "/sign-in?next=/device%3Fuser_code%3DWDJB-MJHT"
    (form,) = browser.page.forms
    assert form.action == "/sign-in?next=%2Fdevice%3Fuser_code%3DWDJB-MJHT"
    await browser.go("/device?user_code=https://evil.example")
    assert browser.path == "/sign-in?next=/device"


async def test_a_form_of_another_page_enters_nothing(house: House, ana: Browser, cli: Client, key: Credential) -> None:
    code = (await house.ask(cli))["user_code"]
    page = await ana.post("/device", [(FIELD, code)])
    assert (ana.status, page.h1) == (403, "This page is out of date")
    assert ("Load it again", "/device") in page.links
    await ana.go("/device")
    token = ana.page.forms[0].value("form_token")
    await ana._follow(
        await ana._send(
            "POST",
            "/device",
            content=f"user_code={code}&form_token={token}",
            headers={"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site"},
        )
    )
    assert ana.status == 403
    assert messages.DEVICE_CODE_USED not in await enter(await house.person("ben"), code)


async def test_the_page_can_be_left_to_somebody_else(ana: Browser) -> None:
    page = await ana.go("/device")
    assert ("Not you?", "/sign-in?next=/device&other=1") in page.links
    assert ana.response.headers["referrer-policy"] == "no-referrer"
    assert "cross-origin-opener-policy" not in ana.response.headers


class TestOnAServerThatTelephonesCanReach:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path, issuer="https://broker.example", sqlite_synchronous="normal")

    async def test_the_page_shows_its_address_as_a_square(self, ana: Browser) -> None:
        await ana.go("/device?user_code=WDJB-MJHT")
        assert 'viewBox="0 0 41 41"' in ana.response.text
        assert "style=" not in ana.response.text


async def test_on_this_computer_there_is_no_square(ana: Browser) -> None:
    await ana.go("/device")
    assert "<svg" not in ana.response.text


class TestSwitchedOff:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path, device_grant=False)

    async def test_the_page_says_so(self, house: House, ana: Browser) -> None:
        page = await ana.go("/device")
        assert (ana.status, "Device codes are switched off here." in page.text) == (403, True)
        await house.browser().post("/device", [(FIELD, "WDJB-MJHT")])
        assert house.opened[-1].status == 403
        answer = await house.http.post("/oauth/device_authorization", data={"client_id": "cli_1"})
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
