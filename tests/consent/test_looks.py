"""The consent page as Chromium shows it: the decision on the first screen, and nothing that axe objects to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from broker.demo.processes import hold_port
from broker.settings import Settings
from broker.store.database import Database
from broker.store.tables import Credential
from tests.browser import Browser
from tests.chromium import needs_chromium, open_browser, violations
from tests.consent.conftest import CALLBACK, Ask, add_client, asked
from tests.consent.in_chromium import served, window
from tests.turned_clock import TurnedClock

pytestmark = needs_chromium


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)  # away from a developer's own .env
    port = hold_port(0)
    port.give_up()
    return Settings(issuer=f"http://127.0.0.1:{port.number}")


@pytest.fixture
async def address(app: ASGIApp, settings: Settings) -> AsyncIterator[str]:
    async with served(app, settings.public_url) as here:
        yield here


async def test_both_answers_are_of_one_size_on_the_first_screen(address: str, ask: Ask, key: Credential) -> None:
    request_id = await ask()
    async with open_browser() as chromium:
        async with window(chromium, address, script=False) as page:
            await page.goto(f"{address}/consent/{request_id}")
            deny = await page.get_by_role("button", name="Deny", exact=True).bounding_box()
            approve = await page.get_by_role("button", name="Approve", exact=True).bounding_box()
            assert deny is not None
            assert approve is not None
            assert abs(deny["width"] - approve["width"]) <= 1
            assert (deny["y"], deny["height"]) == (approve["y"], approve["height"])
            assert approve["y"] + approve["height"] <= 720
        async with window(chromium, address, width=390, height=844) as page:
            await page.goto(f"{address}/consent/{request_id}")
            last = await page.locator("#summary li").last.bounding_box()
            assert last is not None
            assert last["y"] + last["height"] <= 844


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_enter_updates_the_summary_and_approve_leads_back_to_the_app(
    address: str, ask: Ask, key: Credential, script: bool
) -> None:
    request = f"{address}/consent/{await ask()}"
    async with open_browser() as chromium, window(chromium, address, script=script) as page:
        await page.goto(request)
        await page.get_by_text("Lower a limit before you approve").press("Enter")
        field = page.get_by_label("Spending limit, in US dollars")
        await field.fill("2.00")
        if script:
            await page.wait_for_selector("form[data-decision][data-ready=true]")
        async with page.expect_navigation():
            await field.press("Enter")
        assert page.url == request
        assert "can spend up to $2.00" in await page.inner_text("#summary")
        if script:
            await page.wait_for_selector("form[data-decision][data-ready=true]")
        await page.get_by_role("button", name="Approve", exact=True).click()
        await page.wait_for_url(f"{CALLBACK}?code=*")
        assert await page.inner_text("body") == "elsewhere None"


async def test_axe_finds_nothing_on_any_state_of_the_page(
    address: str, browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    shady = await add_client(db, "Shady Tool", verified=False)
    small = asked(models=["gpt-4.1-mini"], actions=["chat"])
    old = await ask(small)
    await browser.go(f"/consent/{old}")
    await browser.press("Approve")
    done = browser.response.text.replace("http-equiv", "data-was")  # it would be left at once
    clock.turn(61)
    claude = asked(provider="anthropic", models=["claude-*"], actions=["chat"])
    shown = [
        old,
        await ask(small),
        await ask(),
        await ask(asked(), claude),
        await ask(client=shady, redirect_uri="https://tool.example.net/cb"),
    ]
    found: list[str] = []
    async with open_browser() as chromium:
        for width, dark in ((1280, False), (360, True)):
            async with window(chromium, address, width=width, dark=dark) as page:
                for path in shown:
                    await page.goto(f"{address}/consent/{path}")
                    found += await violations(page)
                    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                await page.set_content(done)
                found += await violations(page)
    assert found == []
