import pytest

from broker.core.secret import Secret
from broker.store import credentials
from broker.store.database import Database
from broker.store.tables import Credential, User
from broker.vault.credentials import open_credential
from broker.vault.vault import Vault
from tests.browser import Browser
from tests.turned_clock import NOON
from tests.web_grants.conftest import BrowserOf, ProviderThatSays
from tests.web_grants.lending import KEY, Lending, element

ADD = "Check and add key"
NEW = Secret("sk-test-bbbbbbbbbbbbbbbb77Qa")


def _nothing(provider: str) -> None:
    return None


@pytest.fixture
async def key(lending: Lending, ana: User) -> Credential:
    return await lending.key(ana, NOON)


async def _own(db: Database, user: User) -> list[Credential]:
    return await db.read(lambda tx: credentials.of_user(tx, user.id))


async def test_a_key_is_checked_sealed_and_shown_by_its_ends_only(
    browser: Browser, db: Database, vault: Vault, ana: User, provider: ProviderThatSays
) -> None:
    page = await browser.go("/keys")
    assert "No keys yet. Add one to approve apps." in page.text
    await browser.follow("Add a key")
    page = await browser.press(ADD, provider="openai", key=f" {KEY.reveal()}\n", name="Home")
    assert "Key added. Home works: OpenAI accepts it." in page.text
    assert "OpenAI · sk-…9f2A · Working" in page.text
    assert provider.asked == [("openai", KEY)]
    (row,) = await _own(db, ana)
    assert (row.name, row.checked_at) == ("Home", NOON)
    assert open_credential(vault, row, _nothing) == KEY
    assert all(KEY.reveal() not in answer.text for answer in browser.seen)


@pytest.mark.parametrize(
    ("provider_name", "typed", "says"),
    [
        ("openai", "", "Enter an OpenAI API key"),
        (
            "openai",
            "sk-ant-api03-aaaaaaaa",
            "This looks like an Anthropic key (it starts with sk-ant-). Enter an OpenAI key",
        ),
        ("anthropic", "sk-aaaa\r\nX-Evil: 1", "This is not an Anthropic key."),
    ],
)
async def test_what_cannot_be_a_key_is_never_sent_to_the_provider(
    browser: Browser, db: Database, ana: User, provider: ProviderThatSays, provider_name: str, typed: str, says: str
) -> None:
    await browser.go("/keys/new")
    page = await browser.press(ADD, provider=provider_name, key=typed)
    assert browser.status == 422
    assert says in page.text
    assert provider.asked == []
    assert await _own(db, ana) == []


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("refused", "OpenAI refused this key (401). Check that you copied all of it"),
        ("unreachable", "OpenAI did not answer, so the key was not saved. Try again"),
    ],
)
async def test_a_key_that_its_provider_does_not_take_is_not_saved(
    browser: Browser, db: Database, ana: User, provider: ProviderThatSays, verdict: str, says: str
) -> None:
    provider.verdict = verdict  # type: ignore[assignment]
    await browser.go("/keys/new")
    page = await browser.press(ADD, key=KEY.reveal(), name="Home")
    assert browser.status == 422
    assert page.title.startswith("Error: ")
    assert (says, "#key") in page.links
    assert page.field("name").value == "Home"
    assert KEY.reveal() not in browser.response.text
    assert await _own(db, ana) == []


async def test_the_same_key_is_not_kept_twice(browser: Browser, db: Database, ana: User, key: Credential) -> None:
    await browser.go("/keys/new")
    page = await browser.press(ADD, key=KEY.reveal(), name="Again")
    assert "You already have this key here, as Personal" in page.text
    assert len(await _own(db, ana)) == 1


async def test_a_replaced_key_keeps_its_apps(
    browser: Browser, lending: Lending, db: Database, vault: Vault, ana: User, key: Credential
) -> None:
    await lending.grant(ana, await lending.client(), NOON, (key, element(NOON)))
    await browser.go("/keys")
    page = await browser.follow("Replace Personal")
    assert "Apps keep working with the new key." in page.text
    page = await browser.press("Check and replace key", key=NEW.reveal())
    assert "Personal is replaced." in page.text
    assert "sk-…77Qa" in page.text
    assert "Used by 1 app: Acme Notes." in page.text
    (row,) = await _own(db, ana)
    assert (row.id, row.version) == (key.id, 2)
    assert open_credential(vault, row, _nothing) == NEW


async def test_a_refused_replacement_leaves_the_old_key(
    browser: Browser, db: Database, vault: Vault, ana: User, key: Credential, provider: ProviderThatSays
) -> None:
    provider.verdict = "refused"
    await browser.go(f"/keys/{key.id}/replace")
    await browser.press("Check and replace key", key=NEW.reveal())
    assert browser.status == 422
    (row,) = await _own(db, ana)
    assert open_credential(vault, row, _nothing) == KEY


async def test_removing_names_the_apps_that_stop(
    browser: Browser, lending: Lending, db: Database, ana: User, key: Credential
) -> None:
    for name in ("Acme Notes", "Old Bot"):
        await lending.grant(ana, await lending.client(name), NOON, (key, element(NOON)))
    page = await browser.go(f"/keys/{key.id}/remove")
    assert page.h1 == "Remove Personal?"
    assert "2 apps stop at once: Acme Notes and Old Bot." in page.text
    page = await browser.press("Remove Personal")
    assert "Personal is removed and erased from here. Acme Notes and Old Bot stopped." in page.text
    assert await _own(db, ana) == []
    await browser.go("/grants")
    assert browser.response.text.count("Key problem") == 2


@pytest.mark.parametrize(
    ("verdict", "flash", "tag"),
    [
        ("working", "Personal works: OpenAI accepts it.", "Working"),
        ("refused", "OpenAI refused Personal (401). Replace it.", "Refused by OpenAI"),
        ("unreachable", "OpenAI did not answer, so nothing is known of Personal. Try again.", "Working"),
    ],
)
async def test_checking_says_what_the_provider_said(
    browser: Browser, key: Credential, provider: ProviderThatSays, verdict: str, flash: str, tag: str
) -> None:
    provider.verdict = verdict  # type: ignore[assignment]
    await browser.go("/keys")
    page = await browser.press("Check now Personal")
    assert flash in page.text
    assert f"sk-…9f2A · {tag}" in page.text
    assert provider.asked == [("openai", KEY)]


@pytest.mark.parametrize("action", ["replace", "remove"])
async def test_another_persons_key_does_not_exist(
    lending: Lending, browser_of: BrowserOf, key: Credential, action: str
) -> None:
    stranger = await browser_of(await lending.user("eve", NOON))
    await stranger.go(f"/keys/{key.id}/{action}")
    assert stranger.status == 404
    for posted in (action, "check"):
        await stranger.post(f"/keys/{key.id}/{posted}", [("form_token", "x")])
        assert stranger.status == 404


async def test_nobody_manages_the_operators_key_on_these_pages(
    lending: Lending, browser_of: BrowserOf, browser: Browser, key: Credential
) -> None:
    office = await lending.key(None, NOON, "Office", key=NEW)
    admin = await browser_of(await lending.user("root", NOON, role="admin"))
    page = await admin.go("/keys")
    assert "Office OpenAI · From Broker" in page.text
    assert "77Qa" not in admin.response.text
    await admin.go(f"/keys/{office.id}/remove")
    assert admin.status == 404
    assert "Office" not in (await browser.go("/keys")).text


@pytest.mark.parametrize("action", ["check", "remove", "replace"])
async def test_a_key_is_not_touched_without_the_forms_token(
    browser: Browser, db: Database, ana: User, key: Credential, provider: ProviderThatSays, action: str
) -> None:
    await browser.post(f"/keys/{key.id}/{action}", [("key", NEW.reveal())])
    assert browser.status == 403
    assert provider.asked == []
    assert [row.version for row in await _own(db, ana)] == [1]
