"""A key that is missing is added on the way, and nothing of the request is lost."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.providers.check import Verdict
from broker.settings import Settings
from broker.store import credentials
from broker.store.database import Database
from broker.store.tables import User
from broker.web.context import Web
from tests.browser import Browser
from tests.consent.conftest import CANARY, Ask, FakeCheck, SignIn, add_key, add_user, asked, press
from tests.consent.stored import stored
from tests.turned_clock import TurnedClock


async def test_without_a_key_there_is_nothing_to_approve_with(browser: Browser, ask: Ask) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    assert (2, "You have no OpenAI key here yet") in page.headings
    assert [[each.label for each in form.buttons] for form in page.forms] == [
        ["Check and add key"],
        ["Update summary", "Deny"],
    ]
    assert "Add a key to be able to approve." in page.text
    assert "from your OpenAI key" in page.text
    field = page.field("key")
    assert (field.kind, field.attributes["autocomplete"], field.attributes["spellcheck"]) == (
        "password",
        "off",
        "false",
    )
    assert page.field("name").value == "Personal"


async def test_a_key_added_on_the_way_leads_back_to_the_same_request(
    browser: Browser, ask: Ask, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    page = await browser.press("Check and add key", key=CANARY, name="Notes")
    assert browser.path == f"/consent/{request_id}"
    assert "Key added. Nothing has been approved yet." in page.text
    assert "from Notes (OpenAI, sk-…9f2A)" in page.text
    assert (await stored(db, request_id, clock)).request.state == "pending"
    await browser.press("Approve")
    assert len((await stored(db, request_id, clock)).accesses) == 1
    assert not any(CANARY in answer.text for answer in browser.seen)


async def test_a_key_that_does_not_work_is_not_kept(browser: Browser, ask: Ask, check: FakeCheck) -> None:
    await browser.go(f"/consent/{await ask()}")
    tries: list[tuple[str, Verdict, str]] = [
        ("", "working", "Enter an OpenAI API key"),
        (
            "sk-ant-0123456789",
            "working",
            "This looks like an Anthropic key (it starts with sk-ant-). Enter an OpenAI key",
        ),
        (CANARY, "refused", "OpenAI refused this key (401). Check that you copied all of it"),
        (CANARY, "unreachable", "OpenAI did not answer, so the key was not saved. Try again"),
    ]
    for typed, verdict, sentence in tries:
        check.verdict = verdict
        page = await browser.press("Check and add key", key=typed, name="Mine")
        assert browser.status == 422
        assert (sentence, "#key-openai") in page.links
        assert page.field("name").value == "Mine"
        assert CANARY not in browser.response.text
        assert (2, "You have no OpenAI key here yet") in page.headings


async def test_a_key_for_a_provider_that_was_not_asked_for_is_not_taken(browser: Browser, ask: Ask) -> None:
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    pairs = [*page.forms[0].filled("Check and add key", {"key": "sk-ant-0123456789"})]
    forged = [(name, "anthropic" if name == "provider" else value) for name, value in pairs]
    await browser.post(f"/consent/{request_id}", forged)
    assert browser.status == 400


async def test_of_two_accesses_the_one_with_a_key_can_be_approved(
    browser: Browser, ask: Ask, db: Database, web: Web, ana: User, clock: TurnedClock
) -> None:
    await add_key(db, web, ana)
    request_id = await ask(asked(), asked(provider="anthropic", models=["claude-sonnet-4-5"], actions=["chat"]))
    page = await browser.go(f"/consent/{request_id}")
    assert page.field("access-1-drop").checked
    assert not page.field("access-0-drop").checked
    await browser.press("Approve")
    assert [access.provider for access in (await stored(db, request_id, clock)).accesses] == ["openai"]


async def test_several_keys_are_a_choice(
    browser: Browser, ask: Ask, db: Database, web: Web, ana: User, clock: TurnedClock
) -> None:
    await add_key(db, web, ana)
    work = await add_key(db, web, ana, name="Work", key="sk-work-0123456-77Qa")
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    assert "Personal (OpenAI, sk-…9f2A)" in page.text
    assert "Work (OpenAI, sk-…77Qa)" in page.text
    await press(browser, "Approve", {"access-0-key": work.id})
    assert (await stored(db, request_id, clock)).only.credential_id == work.id


async def test_the_operators_key_is_lent_to_whom_the_setting_says(
    sign_in: SignIn, ask: Ask, db: Database, web: Web, ana: User, settings: Settings, clock: TurnedClock
) -> None:
    assert settings.operator_keys == "admins"
    servers = await add_key(db, web, None, name="Server key")
    anas, roots = await sign_in(ana), await sign_in(await add_user(db, "root", "admin"))
    page = await anas.go(f"/consent/{await ask()}")
    assert (2, "You have no OpenAI key here yet") in page.headings
    request_id = await ask()
    page = await roots.go(f"/consent/{request_id}")
    assert "from Server key (OpenAI, from Broker)" in page.text
    assert "9f2A" not in page.text
    await roots.press("Approve")
    assert (await stored(db, request_id, clock)).only.credential_id == servers.id


async def test_a_key_that_its_provider_refuses_is_warned_of(
    browser: Browser, ask: Ask, db: Database, web: Web, ana: User
) -> None:
    key = await add_key(db, web, ana)

    async def refuse(tx: AsyncSession) -> None:
        await credentials.mark(tx, key, "refused", web.clock())

    await db.write(refuse)
    page = await browser.go(f"/consent/{await ask()}")
    assert "OpenAI refuses this key since 21 Nov 2026 (401)." in page.text
    assert ("Replace it", f"/keys/{key.id}/replace") in page.links
