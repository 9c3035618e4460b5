"""Keys for servers of people's own: entered with an address, shown with its host, never sent to another one."""

from typing import Any

import pytest
from sqlmodel import select

from broker.core.secret import Secret
from broker.prices.book import PriceBook
from broker.providers.check import Verdict
from broker.providers.reach import Reach
from broker.providers.registry import Provider, Registry
from broker.store import credentials
from broker.store.database import Database
from broker.store.tables import AuditEntry, Credential, User
from broker.vault.credentials import open_credential
from broker.vault.vault import Vault
from broker.web.context import Web, make_web
from broker.web.key_entry import MOST_TRIES_A_MINUTE, TOO_OFTEN
from tests.browser import Browser
from tests.plain_settings import settings_of
from tests.turned_clock import NOON, TurnedClock
from tests.web_grants.conftest import ProviderThatSays
from tests.web_grants.lending import KEY, Lending, element

NAME, ADD = "openai-compatible", "Check and add key"
HOME: dict[str, Any] = {"provider": NAME, "address": "https://LLM.example.com/v1/", "key": KEY.reveal(), "name": "Home"}


class ServersThatSay(ProviderThatSays):
    """Remembers where it was asked, too."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    async def __call__(self, provider: Provider, key: Secret) -> Verdict:
        self.places.append(provider.base_url)
        return await super().__call__(provider, key)


@pytest.fixture
def provider() -> ServersThatSay:
    return ServersThatSay()


@pytest.fixture
def web(db: Database, clock: TurnedClock, vault: Vault) -> Web:
    settings = settings_of(issuer="http://127.0.0.1:8080")
    return make_web(db, clock, settings, vault, Registry({}, reach=Reach()), PriceBook())


async def own(db: Database, user: User) -> list[Credential]:
    return await db.read(lambda tx: credentials.of_user(tx, user.id))


def nothing(_name: str) -> None:
    return None


async def test_a_key_is_kept_with_the_address_that_was_entered_and_shown_with_its_host(
    browser: Browser, db: Database, vault: Vault, ana: User, provider: ServersThatSay
) -> None:
    await browser.go("/keys/new")
    page = await browser.press(ADD, **HOME)
    assert "Key added. Home works: llm.example.com accepts it." in page.text
    assert "llm.example.com · sk-…9f2A · Working" in page.text
    assert "or to your own server at the address of its key" in page.text
    assert (provider.asked, provider.places) == ([(NAME, KEY)], ["https://llm.example.com"])
    (row,) = await own(db, ana)
    assert row.base_url == "https://llm.example.com"
    assert open_credential(vault, row, nothing) == KEY


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "Enter the address of your server in plain letters, like https://llm.example.com/v1"),
        ("https://user@llm.example.com", "Enter the address of your server in plain letters"),
        ("https://127.0.0.1:8000", "This is no address on the internet"),
        ("https://169.254.169.254", "This is no address on the internet"),
        ("http://llm.example.com", "The address must begin with https://"),
        ("https://llm.example.com:6379", "Port 6379 is one of other services"),
    ],
)
async def test_an_address_that_cannot_be_is_said_beside_its_field_and_nothing_is_asked(
    browser: Browser, db: Database, ana: User, provider: ServersThatSay, address: str, says: str
) -> None:
    await browser.go("/keys/new")
    page = await browser.press(ADD, **HOME | {"address": address})
    assert browser.status == 422
    assert any(text.startswith(says) and href == "#address" for text, href in page.links)
    assert page.field("address").value == address
    assert KEY.reveal() not in browser.response.text
    assert (provider.asked, await own(db, ana)) == ([], [])


async def test_an_address_beside_a_provider_that_has_its_own_is_no_slip_to_pass_over(
    browser: Browser, db: Database, ana: User, provider: ServersThatSay
) -> None:
    await browser.go("/keys/new")
    page = await browser.press(ADD, **HOME | {"provider": "openai"})
    assert ("OpenAI has an address of its own: leave this empty", "#address") in page.links
    assert (provider.asked, await own(db, ana)) == ([], [])


async def test_a_server_that_wants_no_key_gets_a_word_that_means_nothing(
    browser: Browser, db: Database, ana: User, vault: Vault
) -> None:
    await browser.go("/keys/new")
    page = await browser.press(ADD, **HOME | {"key": ""})
    (row,) = await own(db, ana)
    opened = open_credential(vault, row, nothing)
    assert opened is not None
    assert opened.reveal().startswith("no-key_")
    assert "llm.example.com · no-key_…" in page.text


async def test_the_same_key_for_another_address_is_another_one(browser: Browser, db: Database, ana: User) -> None:
    await browser.go("/keys/new")
    await browser.press(ADD, **HOME)
    await browser.go("/keys/new")
    page = await browser.press(ADD, **HOME | {"name": "Twice"})
    assert ("You already have this key here, as Home", "#key") in page.links
    await browser.press(ADD, **HOME | {"address": "https://other.example.com", "name": "Other"})
    assert {row.base_url for row in await own(db, ana)} == {"https://llm.example.com", "https://other.example.com"}


async def test_an_address_changes_only_with_the_key_that_is_to_go_there(
    browser: Browser, db: Database, vault: Vault, ana: User, provider: ServersThatSay
) -> None:
    """Whoever could change it alone would have the key sent to themselves."""
    await browser.go("/keys/new")
    await browser.press(ADD, **HOME)
    (row,) = await own(db, ana)
    page = await browser.go(f"/keys/{row.id}/replace")
    assert page.field("address").value == "https://llm.example.com"
    moved: dict[str, Any] = {"address": "https://new.example.com/v1", "key": ""}
    page = await browser.press("Check and replace key", **moved)
    (row,) = await own(db, ana)
    opened = open_credential(vault, row, nothing)
    assert opened is not None
    assert (row.base_url, opened.reveal()[:7]) == ("https://new.example.com", "no-key_"), "the old key is gone"
    assert provider.places == ["https://llm.example.com", "https://new.example.com"]
    assert KEY not in [key for (_, key), place in zip(provider.asked, provider.places, strict=True) if "new" in place]
    entries = await db.read(lambda tx: tx.exec(select(AuditEntry).where(AuditEntry.event == "credential.replaced")))
    assert ['"moved":true' in entry.details.replace(" ", "") for entry in entries] == [True]


async def test_a_new_address_that_cannot_be_leaves_everything_as_it_was(
    browser: Browser, db: Database, vault: Vault, ana: User
) -> None:
    await browser.go("/keys/new")
    await browser.press(ADD, **HOME)
    (row,) = await own(db, ana)
    await browser.go(f"/keys/{row.id}/replace")
    page = await browser.press("Check and replace key", address="https://10.0.0.1", key="sk-other-0123456789")
    assert browser.status == 422
    assert page.field("address").value == "https://10.0.0.1"
    (row,) = await own(db, ana)
    assert (row.base_url, open_credential(vault, row, nothing)) == ("https://llm.example.com", KEY)


async def test_a_check_asks_the_address_of_the_key(
    browser: Browser, db: Database, ana: User, provider: ServersThatSay
) -> None:
    await browser.go("/keys/new")
    await browser.press(ADD, **HOME)
    provider.verdict = "refused"
    page = await browser.press("Check now Home")
    assert provider.places == ["https://llm.example.com"] * 2
    assert "llm.example.com refused Home (401). Replace it." in page.text
    assert "Refused by llm.example.com" in page.text


async def test_nobody_can_feel_out_other_hosts_by_many_tries(
    browser: Browser, provider: ServersThatSay, clock: TurnedClock
) -> None:
    provider.verdict = "unreachable"
    await browser.go("/keys/new")
    for number in range(MOST_TRIES_A_MINUTE + 5):
        page = await browser.press(ADD, **HOME | {"address": f"https://host{number}.example.com"})
        says = f"host{number}.example.com did not answer, so the key was not saved. Try again"
        assert (says if number < MOST_TRIES_A_MINUTE else TOO_OFTEN, "#key") in page.links
    assert len(provider.places) == MOST_TRIES_A_MINUTE
    clock.now += 120_000_000
    await browser.press(ADD, **HOME)
    assert len(provider.places) == MOST_TRIES_A_MINUTE + 1


async def test_the_page_of_an_app_names_the_host_that_its_requests_go_to(
    browser: Browser, db: Database, ana: User, lending: Lending
) -> None:
    await browser.go("/keys/new")
    await browser.press(ADD, **HOME)
    (row,) = await own(db, ana)
    terms = element(NOON, provider=NAME, models=("llama",))
    grant = await lending.grant(ana, await lending.client(), NOON, (row, terms))
    page = await browser.go(f"/grants/{grant.id}")
    assert "uses Home (server at llm.example.com, sk-…9f2A)" in page.text


async def test_a_key_says_so_where_the_operator_has_closed_it_again(
    browser: Browser, web: Web, db: Database, ana: User, lending: Lending
) -> None:
    await browser.go("/keys/new")
    await browser.press(ADD, **HOME)
    (row,) = await own(db, ana)
    object.__setattr__(web, "registry", Registry({}))
    page = await browser.go("/keys")
    assert "Servers of your own are not used here now" in page.text
    await browser.go(f"/keys/{row.id}/replace")
    await browser.press("Check and replace key", address="https://llm.example.com", key=KEY.reveal())
    assert browser.status == 409
    await browser.go(f"/keys/{row.id}/remove")
    await browser.press("Remove Home")
    assert await own(db, ana) == []


async def test_where_nobody_may_bring_a_server_there_is_no_field_for_one(browser: Browser, web: Web) -> None:
    page = await browser.go("/keys/new")
    assert [field.name for field in page.forms[-1].fields if field.name == "address"] == ["address"]
    object.__setattr__(web, "registry", Registry({}))
    page = await browser.go("/keys/new")
    assert "OpenAI-compatible" not in page.text
    assert [field.name for field in page.forms[-1].fields if field.name == "address"] == []
