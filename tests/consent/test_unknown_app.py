"""Apps that brought themselves along: what the page says of them, and that it asks each time."""

import json

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import clients
from broker.store.database import Database
from broker.store.grant_tables import Grant
from broker.store.tables import Client, Credential
from tests.browser import Browser
from tests.consent.conftest import CALLBACK, Ask
from tests.turned_clock import NOON

HERE = "http://127.0.0.1:51234/callback"
DOCUMENT = "https://apps.acme.example/notes.json"
WARNING = "Any program on your computer could name itself by that address."


async def brought(db: Database, client_id: str = DOCUMENT, source: str = "document") -> Client:
    client = Client(
        id=client_id,
        name="Acme Notes",
        public=1,
        redirect_uris=json.dumps([CALLBACK, HERE]),
        address="/".join(client_id.split("/")[:3]),
        source=source,
        verified=0,
        created_at=NOON - 86_400_000_000,
    )
    await db.write(lambda tx: clients.add(tx, client))
    return client


async def test_one_with_a_document_is_known_by_the_host_that_publishes_it(
    browser: Browser, ask: Ask, key: Credential, db: Database
) -> None:
    page = await browser.go(f"/consent/{await ask(client=await brought(db))}")
    for said in (
        "This app is not verified",
        "apps.acme.example Address not verified First seen 20 Nov 2026. You have not used it before.",
        "I started this myself, and I recognise apps.acme.example",
        f"go back to {CALLBACK}.",
        "it asked for $5.00",
    ):
        assert said in page.text
    assert WARNING not in page.text


async def test_one_that_is_answered_on_this_computer_could_be_any_program(
    browser: Browser, ask: Ask, key: Credential, db: Database
) -> None:
    page = await browser.go(f"/consent/{await ask(client=await brought(db), redirect_uri=HERE)}")
    assert WARNING in page.text
    assert f"go back to an app on this computer ({HERE})." in page.text


@pytest.mark.parametrize("source", ["registration", "document"])
async def test_nobody_gives_to_it_without_saying_that_they_started_it(
    browser: Browser, ask: Ask, key: Credential, db: Database, source: str
) -> None:
    client = await brought(db, source=source)
    page = await browser.go(f"/consent/{await ask(client=client)}")
    answer = await browser.submit(page.forms[0], "Approve")
    assert browser.response.status_code == 422
    assert "Tick the box if you started this yourself, or deny the request" in answer.text


async def test_an_app_that_changed_its_name_meanwhile_is_shown_anew_and_given_nothing(
    browser: Browser, ask: Ask, key: Credential, db: Database
) -> None:
    shady = await brought(db)
    form = (await browser.go(f"/consent/{await ask(client=shady)}")).forms[-1]

    async def rename(tx: AsyncSession) -> None:
        row = await tx.get(Client, shady.id)
        assert row is not None
        row.name = "Your Bank"

    await db.write(rename)
    page = await browser.submit(form, "Approve", known="1")
    assert (browser.status, page.h1 != "Approved", "Your Bank" in page.text) == (200, True, True)
    assert await db.read(_grants) == []
    page = await browser.submit(page.forms[-1], "Approve", known="1")
    assert page.h1 == "Approved"


async def _grants(tx: AsyncSession) -> list[Grant]:
    return list((await tx.exec(select(Grant))).all())
