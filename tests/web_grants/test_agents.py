"""What an app gave to its agents, on the page of the grant: who has what, what it spent, and taking it back."""

import json
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY
from broker.ledger.agents import agents_of
from broker.ledger.keys import money_key, token_scope
from broker.store import changes, grants
from broker.store.database import Database
from broker.store.grant_tables import AccessToken, Grant
from broker.store.ledger_tables import Counter
from broker.store.tables import User
from tests.browser import Browser
from tests.turned_clock import NOON
from tests.web_grants.conftest import BrowserOf
from tests.web_grants.lending import Lending, element


@pytest.fixture
async def grant(lending: Lending, ana: User) -> Grant:
    key = await lending.key(ana, NOON - DAY)
    return await lending.grant(ana, await lending.client(), NOON - DAY, (key, element(NOON - DAY)))


async def give(db: Database, grant: Grant, jti: str, parent: str | None, name: str, *, spent: int = 0, ends_at: int = NOON + DAY) -> str:  # fmt: skip
    """A token as the exchange makes it, with what it has spent of a dollar."""

    async def work(tx: AsyncSession) -> None:
        (access,) = await grants.load_accesses(tx, grant.id)
        cap = {
            "models": ["gpt-4.1-mini"],
            "actions": ["chat"],
            "budget": {"amount": "1.00", "currency": "USD", "per": "grant"},
        }
        caps = None if parent is None else json.dumps({access.id: cap})
        own: dict[str, Any] = {
            "jti": jti,
            "grant_id": grant.id,
            "client_id": grant.client_id,
            "parent_jti": parent,
            "name": name,
        }
        tx.add(AccessToken(**own, caps=caps, created_at=NOON - len(jti), ends_at=ends_at))
        await tx.flush()
        if parent is not None:
            key = money_key(token_scope(jti, access.id), "grant", NOON)._replace(scope_kind="token")
            tx.add(Counter(**key._asdict(), limit=1_000_000, target=1_000_000, settled=spent))

    await db.write(work)
    return jti


@pytest.fixture
async def agents(db: Database, grant: Grant) -> None:
    await give(db, grant, "tok_app", None, "")
    await give(db, grant, "tok_researcher", "tok_app", "Researcher <b>", spent=250_000)
    await give(db, grant, "tok_helper", "tok_researcher", "Helper", spent=50_000)
    await give(db, grant, "tok_writer", "tok_app", "Writer")
    await give(db, grant, "tok_gone", "tok_app", "Gone", ends_at=NOON)


@pytest.mark.usefixtures("agents")
async def test_the_page_says_who_was_given_what_by_whom_and_what_it_spent(browser: Browser, grant: Grant) -> None:
    page = await browser.go(f"/grants/{grant.id}")
    said = page.text
    assert "Researcher <b> Acme Notes gpt-4.1-mini" in said
    assert "$0.25 of $1.00" in said
    assert "Helper" in said
    assert "Gone" not in said
    assert "Revoke all agents" in said


@pytest.mark.usefixtures("agents")
async def test_revoking_one_ends_those_below_it_and_no_other(browser: Browser, db: Database, grant: Grant) -> None:
    before = await db.read(changes.count)
    page = await browser.go(f"/grants/{grant.id}")
    (form,) = [each for each in page.forms if ("agent", "tok_researcher") in [(f.name, f.value) for f in each.fields]]
    page = await browser.submit(form, "Revoke Researcher <b>")
    assert "1 agent revoked. Acme Notes itself can go on." in page.text
    left = await db.read(lambda tx: agents_of(tx, grant.id, NOON))
    assert [agent.name for agent in left] == ["Writer"]
    assert await db.read(changes.count) > before


@pytest.mark.usefixtures("agents")
async def test_all_are_revoked_at_once(browser: Browser, db: Database, grant: Grant) -> None:
    await browser.go(f"/grants/{grant.id}")
    page = await browser.press("Revoke all agents")
    assert "3 agents revoked." in page.text
    assert await db.read(lambda tx: agents_of(tx, grant.id, NOON)) == []
    assert "Agents that can spend now" not in page.text


@pytest.mark.usefixtures("agents")
async def test_nobody_else_revokes_them(browser_of: BrowserOf, lending: Lending, db: Database, grant: Grant) -> None:
    other = await browser_of(await lending.user("ben", NOON - DAY))
    await other.go("/grants")
    await other.post(f"/grants/{grant.id}/agents", [("agent", "tok_helper")])
    assert other.status >= 400
    assert len(await db.read(lambda tx: agents_of(tx, grant.id, NOON))) == 3


@pytest.mark.usefixtures("agents")
async def test_each_stands_after_the_one_it_was_made_by(db: Database, grant: Grant) -> None:
    told = await db.read(lambda tx: agents_of(tx, grant.id, NOON))
    assert [(agent.name, agent.depth, agent.given_by) for agent in told if agent.name != "Writer"] == [
        ("Researcher <b>", 0, ""),
        ("Helper", 1, "Researcher <b>"),
    ]
