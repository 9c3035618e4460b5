"""Which of their keys a person lets an app use, and what the pages say of keys that rest and of calls that went on."""

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY, MINUTE
from broker.core.secret import Secret
from broker.store import changes, spare_keys
from broker.store.database import Database
from broker.store.grant_tables import Access, Grant
from broker.store.ledger_tables import Reservation
from broker.store.pool_tables import CallAttempt, Quarantine
from broker.store.tables import Credential, User
from tests.browser import Browser
from tests.html import Page
from tests.turned_clock import NOON
from tests.web_grants.conftest import ProviderThatSays
from tests.web_grants.lending import Lending, element

SAVE = "Save keys"


@pytest.fixture
async def keys(lending: Lending, ana: User) -> list[Credential]:
    names = ("Home", "Work", "Spare")
    return [
        await lending.key(ana, NOON - DAY + place, name, key=Secret(f"sk-test-of-{name}-12{place}4"))
        for place, name in enumerate(names)
    ]


@pytest.fixture
async def grant(lending: Lending, ana: User, keys: list[Credential]) -> Grant:
    return await lending.grant(ana, await lending.client(), NOON - DAY, (keys[0], element(NOON - DAY)))


async def lent(db: Database) -> tuple[list[str], str]:
    async def work(tx: AsyncSession) -> tuple[list[str], str]:
        access = (await tx.exec(select(Access))).one()
        return await spare_keys.ids_of(tx, access), access.strategy

    return await db.read(work)


async def save(browser: Browser, button: str = SAVE, **typed: str | list[str]) -> Page:
    """Fills in fields of the one access by their short names, also with what no field offers."""
    (form,) = [each for each in browser.page.forms if any(each_one.label == button for each_one in each.buttons)]
    given = {f"access-0-{name}": value if isinstance(value, list) else [value] for name, value in typed.items()}
    pairs = [(name, value) for name, value in form.filled(button, {}) if name not in given]
    pairs += [(name, value) for name, values in given.items() for value in values]
    return await browser.post(form.action, pairs)


async def test_a_person_lets_an_app_use_several_of_their_keys(
    browser: Browser, db: Database, grant: Grant, keys: list[Credential]
) -> None:
    home, work, spare = (key.id for key in keys)
    await browser.go(f"/grants/{grant.id}")
    await browser.follow("Change keys")
    page = await save(browser, first=work, also=[home, work], strategy="round_robin")
    assert "Saved. Acme Notes uses these keys from now on." in page.text
    assert await lent(db) == ([work, home], "round_robin")
    assert "Each in its turn" in page.text
    assert "Keys changed by you: 2 keys, round robin" in page.text
    assert await db.read(changes.count) == 0
    await browser.go("/keys")
    assert "Used by 1 app" in browser.page.text

    await browser.go(f"/grants/{grant.id}/keys")
    await save(browser, first=spare, also=[])
    assert await lent(db) == ([spare], "")
    assert await db.read(changes.count) == 1  # what runs on a key that was taken away is cut


async def test_nobody_elses_key_can_be_chosen(
    browser: Browser, db: Database, lending: Lending, grant: Grant, keys: list[Credential]
) -> None:
    bo = await lending.user("bo", NOON)
    theirs = await lending.key(bo, NOON)
    operators = await lending.key(None, NOON)
    for chosen in (theirs.id, operators.id):
        await browser.go(f"/grants/{grant.id}/keys")
        assert all(chosen not in str(form) for form in browser.page.forms)
        await save(browser, first=keys[0].id, also=[keys[1].id, chosen])
        assert await lent(db) == ([keys[0].id, keys[1].id], "priority")
        await browser.go(f"/grants/{grant.id}/keys")
        page = await save(browser, first=chosen)
        assert "Nothing was changed." in page.text


async def test_what_the_operator_lent_beside_ones_own_key_is_not_raised(
    browser: Browser, db: Database, lending: Lending, grant: Grant, keys: list[Credential]
) -> None:
    """The limits of an access count for all its keys: who may not lend one of them may not raise them."""
    operators = await lending.key(None, NOON)

    async def work(tx: AsyncSession) -> None:
        access = (await tx.exec(select(Access))).one()
        await spare_keys.lend(tx, access, [keys[0].id, operators.id])

    await db.write(work)
    await browser.go(f"/grants/{grant.id}/limits")
    assert "You can lower these limits; only they can raise them." in browser.page.text
    await save(browser, "Save limits", budget="49.00")
    assert browser.status == 422
    await browser.go(f"/grants/{grant.id}/keys")
    assert "lent Acme Notes a key that you cannot choose yourself" in browser.page.text
    page = await save(browser)
    assert "Nothing was changed." in page.text


async def test_another_key_chosen_with_the_limits_is_the_only_one(
    browser: Browser, db: Database, grant: Grant, keys: list[Credential]
) -> None:
    async def work(tx: AsyncSession) -> None:
        access = (await tx.exec(select(Access))).one()
        await spare_keys.lend(tx, access, [keys[0].id, keys[1].id])

    await db.write(work)
    await browser.go(f"/grants/{grant.id}/limits")
    await save(browser, "Save limits", key=keys[1].id)
    assert await lent(db) == ([keys[1].id], "")


async def test_a_key_that_rests_says_why_and_until_when_and_a_check_ends_it(
    browser: Browser, db: Database, lending: Lending, grant: Grant, keys: list[Credential], provider: ProviderThatSays
) -> None:
    key = keys[0]
    until = NOON + 30 * MINUTE
    await lending.add(Quarantine(credential_id=key.id, version=1, cause="no_credit", since=NOON, until=until))
    page = await browser.go("/keys")
    assert "Out of credit at its provider. Apps with other keys go on with those until" in page.text
    provider.verdict = "working"
    page = await browser.press("Check now Home")
    assert "Out of credit" not in page.text


async def test_a_call_says_with_which_keys_it_was_tried(
    browser: Browser, db: Database, lending: Lending, grant: Grant, keys: list[Credential]
) -> None:
    await lending.call(grant, NOON - MINUTE, 500)
    (row,) = await db.read(_calls)
    tried = CallAttempt(
        reservation_id=row.id, place=1, credential_id=keys[1].id, started_at=NOON, ended_at=NOON, status=429,
        outcome="provider_refused",
    )  # fmt: skip
    await lending.add(tried)
    page = await browser.go(f"/grants/{grant.id}")
    assert "Before that with Work (OpenAI, sk-…1214): provider error 429" in page.text


async def _calls(tx: AsyncSession) -> list[Reservation]:
    return list((await tx.exec(select(Reservation))).all())
