"""The consent page in each of its states, light and dark, wide and narrow: nothing that axe objects to."""

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
from tests.consent.conftest import Ask, add_client, asked
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
