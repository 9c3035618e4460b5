"""What an app asks to be merged, replaced or made anew: which grant an approval goes on with, and what then ends."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import update
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.store import grants
from broker.store.database import Database
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Client, Credential, User
from broker.web.context import Web
from tests.browser import Browser
from tests.consent.conftest import CALLBACK, Ask, SignIn, add_client, add_key, add_user, asked, press
from tests.consent.stored import Stored, change_count, counters, spend, stored
from tests.turned_clock import TurnedClock

FIRST = asked(models=["gpt-4.1-mini"], actions=["chat"], max_requests=100)
CLAUDE = asked(provider="anthropic", models=["claude-sonnet-4-5"], actions=["chat"])


@pytest.fixture
async def claude(db: Database, web: Web, ana: User) -> Credential:
    return await add_key(db, web, ana, provider="anthropic", name="Claude", key="sk-ant-0123456789")


@pytest.fixture
async def before(
    browser: Browser, ask: Ask, key: Credential, claude: Credential, db: Database, clock: TurnedClock
) -> Stored:
    """What the app has of both keys: $5.00 each, and $1.84 of OpenAI's are spent."""
    request_id = await ask(FIRST, CLAUDE)
    await browser.go(f"/consent/{request_id}")
    await browser.press("Approve")
    seen = await stored(db, request_id, clock)
    await spend(db, seen.accesses[0], 1_842_300, 12)
    clock.turn(3600)
    return seen


async def test_merging_adds_and_takes_nothing_away(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    grant_id = before.grants[0].id
    small = asked(
        models=["gpt-4.1"], actions=["embeddings"], budget={"amount": "1.00", "currency": "USD"}, max_requests=1
    )
    request_id = await ask(small, action="merge", asked_grant_id=grant_id)
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Acme Notes asks for more of your OpenAI key"
    assert "Models gpt-4.1-mini adds gpt-4.1 New" in page.text
    assert "leaves out" not in page.text
    assert "Lower" not in page.text
    assert "Keep what it has of Anthropic" in page.text
    looked = await change_count(db)
    await press(
        browser,
        "Approve the change",
        {"access-0-model": ["gpt-4.1", "gpt-4.1-mini"], "access-0-action": ["embeddings", "chat"]},
    )
    after = await stored(db, request_id, clock)
    assert [grant.id for grant in after.grants] == [grant_id]
    assert [access.id for access in after.accesses] == [access.id for access in before.accesses]
    assert json.loads(after.accesses[0].models) == ["gpt-4.1", "gpt-4.1-mini"]
    assert json.loads(after.accesses[0].actions) == ["embeddings", "chat"]
    assert (after.accesses[0].budget, after.accesses[0].max_requests) == (5_000_000, 100)
    assert after.accesses[1].model_dump() == before.accesses[1].model_dump()
    assert (await counters(db, after.accesses[0]))["money grant"] == (5_000_000, 1_842_300)
    assert await change_count(db) == looked


async def test_merging_gives_no_more_than_what_there_is_and_what_is_asked_for(
    browser: Browser, ask: Ask, before: Stored
) -> None:
    little = asked(models=["gpt-4.1"], actions=["chat"], budget={"amount": "1.00", "currency": "USD"}, max_requests=1)
    request_id = await ask(little, action="merge", asked_grant_id=before.grants[0].id)
    page = await browser.go(f"/consent/{request_id}")
    assert "Acme Notes asked to add to what it has. You can enter up to $5.00." in page.text
    assert "Acme Notes asked to add to what it has. You can enter up to 100." in page.text
    page = await press(browser, "Approve the change", {"access-0-budget": "5.01", "access-0-requests": "101"})
    assert browser.status == 422
    said = "Spending limit must be $5.00 or less, the most that Acme Notes asked for"
    assert (said, "#access-0-budget") in page.links


async def test_replacing_ends_what_is_not_asked_for_and_says_so(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    grant_id = before.grants[0].id
    request_id = await ask(FIRST, action="replace", asked_grant_id=grant_id)
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Reconnect Acme Notes?"
    assert "It asks for less than it has" in page.text
    assert "Anthropic key claude-sonnet-4-5, $5.00 in total Nothing Ends" in page.text
    assert "Keep what it has of" not in page.text
    looked = await change_count(db)
    await browser.press("Reconnect")
    after = await stored(db, request_id, clock)
    assert [grant.id for grant in after.grants] == [grant_id]
    assert [access.id for access in after.accesses] == [before.accesses[0].id]
    assert after.accesses[0].model_dump() == before.accesses[0].model_dump()
    assert await change_count(db) > looked, "its running calls are cut"


async def test_replacing_by_something_else_leaves_only_that(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    wish = asked(provider="anthropic", models=["claude-sonnet-4-5"], actions=["chat"], max_requests=5)
    request_id = await ask(wish, action="replace", asked_grant_id=before.grants[0].id)
    page = await browser.go(f"/consent/{request_id}")
    assert "OpenAI key gpt-4.1-mini, $5.00 in total Nothing Ends" in page.text
    await browser.press("Reconnect")
    after = await stored(db, request_id, clock)
    assert [(access.id, access.max_requests) for access in after.accesses] == [(before.accesses[1].id, 5)]


async def test_another_grant_stands_beside_the_first(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(FIRST, action="create")
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Acme Notes wants to use your OpenAI key"
    assert "keeps it. What you approve now comes on top." in page.text
    await browser.press("Approve")
    after = await stored(db, request_id, clock)
    assert len(after.grants) == 2
    assert after.request.grant_id != before.grants[0].id
    assert (await counters(db, before.accesses[0]))["money grant"] == (5_000_000, 1_842_300)


async def test_the_grant_that_is_named_goes_on_and_not_the_newest(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    await browser.go(f"/consent/{await ask(FIRST, action='create')}")
    await browser.press("Approve")
    request_id = await ask(FIRST, action="replace", asked_grant_id=before.grants[0].id)
    await browser.go(f"/consent/{request_id}")
    await browser.press("Reconnect")
    assert (await stored(db, request_id, clock)).request.grant_id == before.grants[0].id


@pytest.mark.parametrize("action", ["merge", "replace"])
async def test_another_person_cannot_answer_for_the_owner(
    sign_in: SignIn, ask: Ask, before: Stored, db: Database, clock: TurnedClock, web: Web, action: str, browser: Browser
) -> None:
    eve = await add_user(db, "eve")
    await add_key(db, web, eve, name="Eve")
    request_id = await ask(FIRST, action=action, asked_grant_id=before.grants[0].id)
    theirs = await sign_in(eve)
    page = await theirs.go(f"/consent/{request_id}")
    assert (theirs.status, page.h1) == (403, "You cannot answer this")
    assert "ana@" not in page.text
    assert "$" not in page.text
    (back,) = [href for _, href in page.links if href.startswith(CALLBACK)]
    assert parse_qs(urlsplit(back).query)["error"] == ["invalid_grant_id"]
    assert any(label == "Not you?" for label, _ in page.links)
    await browser.go(f"/consent/{request_id}")
    await browser.press("Reconnect")
    assert (await stored(db, request_id, clock)).request.state == "approved", "it still waited for its owner"


@pytest.mark.parametrize(("event", "state"), [(GrantEvent.REVOKE, "revoked"), (GrantEvent.EXPIRE, "expired")])
async def test_a_grant_that_ended_meanwhile_is_not_brought_back(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock, event: GrantEvent, state: str
) -> None:
    grant_id = before.grants[0].id
    request_id = await ask(FIRST, action="merge", asked_grant_id=grant_id)
    await browser.go(f"/consent/{request_id}")
    assert await db.write(lambda tx: grants.move(tx, grant_id, event, clock(), by="x"))
    page = await browser.press("Reconnect")
    assert (browser.status, page.h1) == (403, "You cannot answer this")
    ended = await db.read(lambda tx: grants.load(tx, grant_id))
    assert ended is not None
    assert ended.state == state


async def test_another_apps_grant_is_out_of_reach(
    browser: Browser, ask: Ask, before: Stored, db: Database, acme: Client
) -> None:
    other = await add_client(db, "Old Bot")
    request_id = await ask(FIRST, client=other, action="replace", asked_grant_id=before.grants[0].id)
    assert (await browser.go(f"/consent/{request_id}")).h1 == "You cannot answer this"


async def test_a_new_access_is_one_row_that_names_its_key(browser: Browser, ask: Ask, key: Credential) -> None:
    await browser.go(f"/consent/{await ask(FIRST)}")
    await browser.press("Approve")
    page = await browser.go(f"/consent/{await ask(FIRST | {'max_requests': 200}, CLAUDE)}")
    assert "OpenAI: requests in total 100 200 Higher" in page.text
    assert "Anthropic key Nothing claude-sonnet-4-5, $5.00 in total New" in page.text
    assert "Anthropic: " not in page.text


async def test_an_app_whose_approval_nobody_remembers_is_not_called_new(
    browser: Browser, ask: Ask, before: Stored, db: Database
) -> None:
    """As with what the operator gave, and after old requests were cleared away."""

    async def work(tx: AsyncSession) -> None:
        await tx.exec(update(GrantRequest).values(user_id=None))

    await db.write(work)
    page = await browser.go(f"/consent/{await ask(FIRST, action='merge', asked_grant_id=before.grants[0].id)}")
    assert "It has access to your keys already." in page.text
    assert "used it before" not in page.text
