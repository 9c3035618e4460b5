"""Several keys chosen at consent: what the page says goes on is what the grant has, in that order, and nothing else."""

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import changes, credentials, spare_keys
from broker.store.database import Database
from broker.store.grant_tables import Access, ConsentReceipt
from broker.store.tables import Credential, User
from broker.vault.credentials import remove_credential
from broker.web.context import Web
from tests.browser import Browser
from tests.consent.conftest import Ask, Typed, add_key, add_user, asked, press
from tests.consent.stored import stored
from tests.turned_clock import TurnedClock

KEY, ALSO = "access-0-key", "access-0-also"
HINT = "Used when the key above is limited, refused or out of credit. Tick none to use that key alone."


@pytest.fixture
async def keys(db: Database, web: Web, ana: User, key: Credential) -> list[Credential]:
    """Personal, Work and Home, in the order in which they are offered."""
    for name in ("Work", "Home"):
        await add_key(db, web, ana, name=name, key=f"sk-{name.lower()}-0123456789ab")
    return await db.read(lambda tx: credentials.of_user(tx, ana.id))


async def lent(db: Database, access: Access) -> tuple[list[str], str]:
    async def work(tx: AsyncSession) -> tuple[list[str], str]:
        row = await tx.get(Access, access.id)
        assert row is not None
        return await spare_keys.ids_of(tx, row), row.strategy

    return await db.read(work)


async def test_one_key_needs_no_second_list(browser: Browser, ask: Ask, key: Credential) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    assert "Keys to go on with" not in page.text


async def test_without_a_tick_the_key_chosen_is_lent_alone(
    browser: Browser, ask: Ask, keys: list[Credential], db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    assert HINT in page.text
    (form,) = [form for form in page.forms if form.buttons and form.buttons[-1].label == "Approve"]
    assert [field.value for field in form.fields if field.name == ALSO and field.checked] == []
    await press(browser, "Approve", {KEY: keys[1].id})
    assert await lent(db, (await stored(db, request_id, clock)).only) == ([keys[1].id], "")


async def test_keys_ticked_are_gone_on_with_as_the_page_says(
    browser: Browser, ask: Ask, keys: list[Credential], db: Database, clock: TurnedClock
) -> None:
    request_id, names = await ask(), [key.name for key in keys]
    await browser.go(f"/consent/{request_id}")
    chosen: Typed = {KEY: keys[2].id, ALSO: [keys[0].id, keys[1].id]}
    page = await press(browser, "Update summary", chosen)
    said = f"goes on with {names[0]} (OpenAI, {_ends(keys[0])}), {names[1]} (OpenAI, {_ends(keys[1])})"
    assert f"{said} when that key is limited, refused or out of credit" in page.text
    page = await browser.press("Approve")
    access = (await stored(db, request_id, clock)).only
    assert await lent(db, access) == ([keys[2].id, keys[0].id, keys[1].id], "priority")
    page = await browser.go(f"/consent/{request_id}/done")
    assert f"{names[2]} (OpenAI), {names[0]} (OpenAI) and {names[1]} (OpenAI)" in page.text


async def test_the_receipt_says_which_keys_are_gone_on_with(
    browser: Browser, ask: Ask, keys: list[Credential], db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    await press(browser, "Approve", {KEY: keys[0].id, ALSO: [keys[1].id]})
    done = await stored(db, request_id, clock)
    page = await browser.go(f"/grants/{done.grants[0].id}/receipts/{await _receipt(db, request_id)}/shown")
    assert f"goes on with {keys[1].name} (OpenAI, {_ends(keys[1])}) when that key" in page.text


async def test_the_first_key_ticked_a_second_time_counts_once(
    browser: Browser, ask: Ask, keys: list[Credential], db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    await press(browser, "Approve", {KEY: keys[0].id, ALSO: [keys[0].id]})
    assert await lent(db, (await stored(db, request_id, clock)).only) == ([keys[0].id], "")


async def test_a_returning_app_keeps_the_keys_and_how_they_take_turns(
    browser: Browser, ask: Ask, keys: list[Credential], db: Database, clock: TurnedClock
) -> None:
    first = await ask()
    await browser.go(f"/consent/{first}")
    await press(browser, "Approve", {KEY: keys[0].id, ALSO: [keys[1].id, keys[2].id]})
    access = (await stored(db, first, clock)).only

    async def take_turns(tx: AsyncSession) -> None:
        row = await tx.get(Access, access.id)
        assert row is not None
        await spare_keys.lend(tx, row, [keys[0].id, keys[2].id, keys[1].id], "round_robin")

    await db.write(take_turns)
    page = await browser.go(f"/consent/{await ask()}")
    assert "in turn with that key" in page.text
    await browser.press("Reconnect")
    assert await lent(db, access) == ([keys[0].id, keys[2].id, keys[1].id], "round_robin")

    await browser.go(f"/consent/{await ask()}")
    await press(browser, "Reconnect", {ALSO: [keys[1].id]})
    assert await lent(db, access) == ([keys[0].id, keys[1].id], "round_robin")
    await browser.go(f"/consent/{await ask()}")
    await press(browser, "Reconnect", {KEY: keys[2].id, ALSO: []})
    assert await lent(db, access) == ([keys[2].id], "")


async def test_the_next_key_comes_first_where_the_first_was_removed(
    browser: Browser, ask: Ask, keys: list[Credential], db: Database, clock: TurnedClock
) -> None:
    """And not one that the app never had."""
    first = await ask()
    await browser.go(f"/consent/{first}")
    await press(browser, "Approve", {KEY: keys[1].id, ALSO: [keys[2].id]})
    await db.write(lambda tx: _remove(tx, keys[1].id, clock()))
    page = await browser.go(f"/consent/{await ask()}")
    assert f"from {keys[2].name} (OpenAI, {_ends(keys[2])})" in page.text
    await browser.press("Reconnect")
    assert await lent(db, (await stored(db, first, clock)).only) == ([keys[2].id], "")


async def test_a_key_that_is_taken_away_stops_at_once(
    browser: Browser, ask: Ask, keys: list[Credential], db: Database, clock: TurnedClock
) -> None:
    first = await ask()
    await browser.go(f"/consent/{first}")
    await press(browser, "Approve", {KEY: keys[0].id, ALSO: [keys[1].id]})
    before = await db.read(changes.count)
    await browser.go(f"/consent/{await ask()}")
    await browser.press("Reconnect")
    assert await db.read(changes.count) == before, "nothing was taken away"
    await browser.go(f"/consent/{await ask()}")
    await press(browser, "Reconnect", {ALSO: []})
    assert await db.read(changes.count) > before


@pytest.mark.parametrize("whose", ["theirs", "of another provider", "unknown", "removed"])
async def test_only_keys_that_were_offered_are_gone_on_with(
    browser: Browser,
    ask: Ask,
    keys: list[Credential],
    db: Database,
    web: Web,
    ana: User,
    clock: TurnedClock,
    whose: str,
) -> None:
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    strange = {
        "theirs": await add_key(db, web, await add_user(db, "ben")),
        "of another provider": await add_key(db, web, ana, provider="anthropic", key="sk-ant-0123456789"),
        "removed": keys[2],
    }
    if whose == "removed":
        await db.write(lambda tx: _remove(tx, keys[2].id, clock()))
    (form,) = [form for form in page.forms if any(each.label == "Approve" for each in form.buttons)]
    other = strange[whose].id if whose in strange else "crd_nobodys"
    await browser.post(form.action, [*form.filled("Approve", {KEY: keys[0].id}), (ALSO, other)])
    assert browser.status == 422
    assert ("Choose from your keys that are shown here: another one was removed", f"#{ALSO}") in browser.page.links
    assert (await stored(db, request_id, clock)).grants == []


async def test_each_access_has_keys_of_its_own(
    browser: Browser, ask: Ask, keys: list[Credential], db: Database, web: Web, ana: User, clock: TurnedClock
) -> None:
    claude = await add_key(db, web, ana, provider="anthropic", key="sk-ant-0123456789")
    request_id = await ask(asked(), asked(provider="anthropic", models=["claude-sonnet-4-5"], actions=["chat"]))
    page = await browser.go(f"/consent/{request_id}")
    assert page.text.count("Keys to go on with") == 1
    await press(browser, "Approve", {KEY: keys[0].id, ALSO: [keys[1].id]})
    done = await stored(db, request_id, clock)
    assert [(await lent(db, access))[0] for access in done.accesses] == [[keys[0].id, keys[1].id], [claude.id]]


async def _remove(tx: AsyncSession, credential_id: str, now: int) -> None:
    row = await credentials.load(tx, credential_id)
    assert row is not None
    assert await remove_credential(tx, row, now=now, by="test")


def _ends(key: Credential) -> str:
    return f"{key.prefix}…{key.last_four}"


async def _receipt(db: Database, request_id: str) -> str:
    async def work(tx: AsyncSession) -> str:
        query = select(ConsentReceipt).where(ConsentReceipt.request_id == request_id)
        return (await tx.exec(query)).one().id

    return await db.read(work)
