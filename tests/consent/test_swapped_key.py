"""The key that stood on the page is the key that is lent, or none is."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.secret import Secret
from broker.store import credentials
from broker.store.database import Database
from broker.store.tables import Credential, User
from broker.vault.credentials import add_credential, remove_credential
from broker.web.context import Web
from tests.browser import Browser
from tests.consent.conftest import Ask
from tests.consent.stored import stored
from tests.turned_clock import TurnedClock


async def test_a_key_that_took_the_place_of_the_one_shown_is_not_lent_unseen(
    browser: Browser, ask: Ask, key: Credential, ana: User, db: Database, web: Web, clock: TurnedClock
) -> None:
    request_id = await ask()
    form = (await browser.go(f"/consent/{request_id}")).forms[0]

    async def swap(tx: AsyncSession) -> Credential:
        row = await credentials.load(tx, key.id)
        assert row is not None
        assert await remove_credential(tx, row, now=clock(), by="test")
        other = Secret("sk-another-key-for-dearer-work")
        return await add_credential(
            tx, web.vault, provider="openai", key=other, name="Company", user_id=ana.id, now=clock(), by="test"
        )

    other = await db.write(swap)
    page = await browser.submit(form, "Approve")
    assert (browser.status, (await stored(db, request_id, clock)).grants) == (422, [])
    await browser.submit(page.forms[0], "Approve")
    assert (await stored(db, request_id, clock)).only.credential_id == other.id
