"""An app that asks for a person's own server: the page says which host its requests and the key go to."""

from typing import Any

import pytest

from broker.core.secret import Secret
from broker.prices.book import PriceBook
from broker.providers.reach import Reach
from broker.providers.registry import Registry
from broker.settings import Settings
from broker.store.database import Database
from broker.store.tables import Credential, User
from broker.vault.credentials import add_credential
from broker.vault.vault import Vault
from broker.web.context import Web, make_web
from tests.browser import Browser
from tests.consent.conftest import CANARY, Ask, Typed, asked, press
from tests.consent.stored import stored
from tests.turned_clock import NOON, TurnedClock

NAME = "openai-compatible"
KEY_FORM = "Check and add key"


@pytest.fixture
def web(db: Database, clock: TurnedClock, settings: Settings) -> Web:
    return make_web(db, clock, settings, Vault(b"m" * 32), Registry({}, reach=Reach()), PriceBook())


async def test_a_server_is_added_on_the_way_and_its_host_is_what_is_approved(
    browser: Browser, ask: Ask, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(asked(provider=NAME, models=["llama-3"]))
    page = await browser.go(f"/consent/{request_id}")
    assert (2, "You have no OpenAI-compatible server key here yet") in page.headings
    page = await browser.press(KEY_FORM, address="https://169.254.169.254/v1", key=CANARY, name="Lab")
    assert browser.status == 422
    assert [href for text, href in page.links if "no address on the internet" in text] == [f"#key-{NAME}-address"]
    assert (page.field("address").value, page.field("name").value) == ("https://169.254.169.254/v1", "Lab")
    page = await browser.press(KEY_FORM, address="https://llm.example.com/v1", key=CANARY, name="Lab")
    assert "from Lab (server at llm.example.com, sk-…9f2A)" in page.text
    assert "sends its requests to llm.example.com, your own server" in page.text
    assert "No price known here, so calls to it are refused" in page.text
    page = await browser.press("Approve")
    assert "Lab (server at llm.example.com)" in page.text
    done = await stored(db, request_id, clock)
    assert done.only.provider == NAME
    assert not any(CANARY in answer.text for answer in browser.seen)


async def test_two_servers_are_both_named_where_calls_may_go_on_with_the_second(
    browser: Browser, ask: Ask, db: Database, web: Web, ana: User
) -> None:
    lab = await _server(db, web, ana, "Lab", "https://lab.example.com")
    home = await _server(db, web, ana, "Home", "https://home.example.com:8443")
    await browser.go(f"/consent/{await ask(asked(provider=NAME, models=['llama-3']))}")
    chosen: Typed = {"access-0-key": lab.id, "access-0-also": [home.id]}
    page = await press(browser, "Update summary", chosen)
    assert "goes on with Home (server at home.example.com:8443, sk-…9f2A)" in page.text
    assert "sends its requests to lab.example.com and home.example.com:8443, your own servers" in page.text


async def _server(db: Database, web: Web, ana: User, name: str, base_url: str) -> Credential:
    seal: dict[str, Any] = {"provider": NAME, "key": Secret(CANARY), "user_id": ana.id, "now": NOON, "by": "test"}
    return await db.write(
        lambda tx: add_credential(tx, web.vault, name=name, base_url=base_url, state="working", **seal)
    )


async def test_an_app_that_asks_for_another_provider_is_offered_no_server(browser: Browser, ask: Ask) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    assert "Address of your server" not in page.text
