"""Limits above a grant on its page and in the list of apps: said when they are what stops it, and before."""

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.ledger.books import OwnBooks
from broker.ledger.lease import Lease
from broker.ledger.overall import key_scope
from broker.ledger.overall_limits import Terms, load, put_in_tier, set_limit
from broker.ledger.reserve import Reserver
from broker.ledger.settle import Close
from broker.store.database import Database
from broker.store.grant_tables import AccessToken, Grant
from broker.store.tables import Credential, User
from tests.books.world import demand, reported
from tests.browser import Browser
from tests.turned_clock import NOON, TurnedClock
from tests.web_grants.lending import Lending, element

DOLLAR = 1_000_000


async def spend(db: Database, grant: Grant, clock: TurnedClock, amount: int) -> None:
    """By a call as the proxy makes it."""
    lease, books = Lease(db, clock, lambda: clock() / 1_000_000, 10**9), OwnBooks(db, clock)
    await lease.take()
    jti = f"tok_{grant.id}_{amount}"

    async def work(tx: AsyncSession) -> None:
        tx.add(AccessToken(jti=jti, grant_id=grant.id, client_id=grant.client_id, created_at=1, ends_at=2**60))

    await db.write(work)
    asked = demand(model="gpt-4.1-mini", input_bound=amount, own_output=0)
    held = await Reserver(books, clock, lease)(jti, asked)
    await books.submit(Close(held.id, reported(amount, 0)))


async def limit(db: Database, kind: str, scope_id: str, terms: Terms) -> None:
    await db.write(lambda tx: set_limit(tx, kind, scope_id, terms, NOON))


async def lend(lending: Lending, user: User, key: Credential) -> Grant:
    return await lending.grant(user, await lending.client(), NOON, (key, element(NOON)))


async def test_a_limit_of_ones_own_key_that_is_used_leads_to_where_it_is_changed(
    browser: Browser, lending: Lending, db: Database, clock: TurnedClock, ana: User
) -> None:
    key = await lending.key(ana, NOON)
    grant = await lend(lending, ana, key)
    await limit(db, "credential", key_scope(ana.id, key.id), Terms(2 * DOLLAR, None, "month"))
    await spend(db, grant, clock, 2 * DOLLAR)
    page = await browser.go(f"/grants/{grant.id}")
    said = "Acme Notes is refused on OpenAI: your limit for all apps on this key is used: $2.00 of $2.00 this month."
    assert said in page.text
    assert "It begins again on 1 Dec 2026, 00:00 UTC." in page.text
    assert "Acme Notes Limit reached" in page.text
    page = await browser.follow("Change the limit of the key")
    assert page.h1 == "Change the limit of Personal"
    page = await browser.go(f"/grants/{grant.id}/limits?raise=key")
    assert page.h1 == "Change the limit of Personal"
    assert "Limit reached" in (await browser.go("/grants")).text
    assert "All apps together: $2.00 of $2.00 this month" in (await browser.go("/keys")).text


async def test_a_limit_of_one_request_is_said_in_the_singular(
    browser: Browser, lending: Lending, db: Database, clock: TurnedClock, ana: User
) -> None:
    key = await lending.key(ana, NOON)
    await limit(db, "credential", key_scope(ana.id, key.id), Terms(None, 1, "month"))
    await spend(db, await lend(lending, ana, key), clock, DOLLAR)
    assert "All apps together: 1 of 1 request this month" in (await browser.go("/keys")).text


async def test_without_a_limit_of_a_key_there_is_nothing_to_raise_there(
    browser: Browser, lending: Lending, ana: User
) -> None:
    grant = await lend(lending, ana, await lending.key(ana, NOON))
    page = await browser.go(f"/grants/{grant.id}/limits?raise=key")
    assert page.h1 == "Change limits of Acme Notes"


async def test_a_used_allocation_says_when_it_begins_again(
    browser: Browser, lending: Lending, db: Database, clock: TurnedClock, ana: User
) -> None:
    grant = await lend(lending, ana, await lending.key(None, NOON))
    await limit(db, "tier", "plus", Terms(DOLLAR, None, "tier"))

    async def put(tx: AsyncSession) -> None:
        await put_in_tier(tx, ana.id, await load(tx, "tier", "plus"), 30, NOON)

    await db.write(put)
    await spend(db, grant, clock, DOLLAR)
    page = await browser.go(f"/grants/{grant.id}")
    assert "is used: $1.00 of $1.00 this month. It begins again on 30 Nov 2026, 00:00 UTC. Only" in page.text
    assert "Your allocation on these keys: $1.00 of $1.00 this month." in (await browser.go("/keys")).text


async def test_what_everybody_spends_at_a_provider_is_not_told(
    browser: Browser, lending: Lending, db: Database, clock: TurnedClock, ana: User
) -> None:
    grant = await lend(lending, ana, await lending.key(ana, NOON))
    await limit(db, "provider", "openai", Terms(3 * DOLLAR, None, "day"))
    await spend(db, grant, clock, 3 * DOLLAR)
    page = await browser.go(f"/grants/{grant.id}")
    assert "has used its limit on OpenAI. It begins again on 22 Nov 2026, 00:00 UTC. Only" in page.text
    assert "$3.00 of $3.00" not in page.text


@pytest.mark.parametrize(("spent", "percent"), [(3, 50), (4, 80)])
async def test_a_person_is_told_before_a_limit_is_used(
    browser: Browser, lending: Lending, db: Database, clock: TurnedClock, ana: User, spent: int, percent: int
) -> None:
    grant = await lend(lending, ana, await lending.key(ana, NOON))
    assert "is used" not in (await browser.go(f"/grants/{grant.id}")).text
    await spend(db, grant, clock, spent * DOLLAR)
    page = await browser.go(f"/grants/{grant.id}")
    said = f"Acme Notes came to {percent}% of its spending limit on OpenAI on 21 Nov 2026, 13:05 UTC: ${spent}.00 of $5.00."
    assert said in page.text


async def test_a_limit_that_is_used_up_is_not_said_to_be_near(
    browser: Browser, lending: Lending, db: Database, clock: TurnedClock, ana: User
) -> None:
    grant = await lend(lending, ana, await lending.key(ana, NOON))
    await spend(db, grant, clock, 5 * DOLLAR)
    page = await browser.go(f"/grants/{grant.id}")
    assert "came to" not in page.text
    assert "has used its spending limit on OpenAI and is refused" in page.text


async def test_the_most_that_could_still_be_spent_is_no_more_than_its_keys_limit_leaves(
    browser: Browser, lending: Lending, db: Database, clock: TurnedClock, ana: User
) -> None:
    key, other = await lending.key(ana, NOON), await lending.key(ana, NOON, "Work", "anthropic")
    grants = [await lend(lending, ana, key) for _ in range(2)]
    await lending.grant(ana, await lending.client("Draft"), NOON, (other, element(NOON, provider="anthropic")))
    assert "$15.00" in (await browser.go("/grants")).text
    await limit(db, "credential", key_scope(ana.id, key.id), Terms(3 * DOLLAR, None, "month"))
    await spend(db, grants[0], clock, DOLLAR)
    assert "$7.00" in (await browser.go("/grants")).text
