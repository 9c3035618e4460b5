import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY, MINUTE
from broker.core.grant import GrantEvent
from broker.store import changes, grants
from broker.store.database import Database
from broker.store.grant_tables import Grant
from broker.store.tables import AuditEntry, User
from tests.browser import Browser
from tests.turned_clock import NOON
from tests.web_grants.conftest import BrowserOf
from tests.web_grants.lending import Lending, element


@pytest.fixture
async def grant(lending: Lending, ana: User) -> Grant:
    key = await lending.key(ana, NOON - DAY)
    return await lending.grant(ana, await lending.client(), NOON - DAY, (key, element(NOON - DAY)))


async def _events(db: Database, object_id: str) -> list[tuple[str, str]]:
    async def work(tx: AsyncSession) -> list[tuple[str, str]]:
        rows = (await tx.exec(select(AuditEntry).where(AuditEntry.object_id == object_id))).all()
        return [(row.event, row.actor) for row in rows]

    return await db.read(work)


async def test_pausing_refuses_at_once_and_resuming_undoes_it(browser: Browser, db: Database, grant: Grant) -> None:
    before = await db.read(changes.count)
    await browser.go(f"/grants/{grant.id}")
    page = await browser.press("Pause")
    assert "Paused. Acme Notes is refused from 13:05:00 UTC." in page.text
    assert page.h1 == "Acme Notes Paused"
    assert await db.read(changes.count) == before + 1
    page = await browser.press("Resume")
    assert "Resumed. Acme Notes can spend again" in page.text
    assert page.h1 == "Acme Notes Active"
    assert await _events(db, grant.id) == [("grant.paused", "person_ana"), ("grant.resumed", "person_ana")]


async def test_what_the_operator_paused_its_user_cannot_resume(browser: Browser, db: Database, grant: Grant) -> None:
    page = await browser.go(f"/grants/{grant.id}")
    await browser.press("Pause")
    page = await browser.go("/grants")
    (resume,) = [form for form in page.forms if form.action.endswith("/resume")]
    assert await db.write(lambda tx: grants.keep_paused(tx, grant.id, NOON))
    assert not await db.write(lambda tx: grants.keep_paused(tx, grant.id, NOON))
    page = await browser.submit(resume, "Resume Acme Notes")
    assert "Nothing was changed: only the people who run this server can resume it." in page.text
    assert not [form for form in page.forms if form.action.endswith("/resume")]
    page = await browser.go(f"/grants/{grant.id}")
    assert page.h1 == "Acme Notes Paused"
    assert "is refused until" in page.text
    assert not {"Pause", "Resume"} & {button.label for form in page.forms for button in form.buttons}
    assert "Revoke…" in {text for text, _ in page.links}
    assert await db.write(lambda tx: grants.move(tx, grant.id, GrantEvent.RESUME, NOON, by=grants.OPERATOR))
    await browser.go(f"/grants/{grant.id}")
    await browser.press("Pause")
    page = await browser.press("Resume")
    assert page.h1 == "Acme Notes Active"


async def test_pausing_all_leaves_what_the_operator_paused_the_operators(
    browser: Browser, db: Database, grant: Grant
) -> None:
    await db.write(lambda tx: grants.move(tx, grant.id, GrantEvent.PAUSE, NOON, by=grants.OPERATOR))
    await db.write(lambda tx: grants.pause_active(tx, grant.user_id, NOON, by="person_ana"))
    page = await browser.go("/grants")
    assert not [form for form in page.forms if form.action.endswith("/resume")]


async def test_pausing_twice_changes_nothing(browser: Browser, db: Database, grant: Grant) -> None:
    page = await browser.go(f"/grants/{grant.id}")
    (form,) = [form for form in page.forms if form.action.endswith("/pause")]
    await browser.submit(form, "Pause")
    again = await browser.submit(form, "Pause")
    assert "Nothing was changed" in again.text
    assert len(await _events(db, grant.id)) == 1


async def test_revoking_is_asked_twice_and_is_final(
    browser: Browser, lending: Lending, db: Database, grant: Grant
) -> None:
    await lending.call(grant, NOON - MINUTE, 1_840_000)
    await lending.call(grant, NOON - MINUTE, state="held", hold=120_000)
    await browser.go(f"/grants/{grant.id}")
    page = await browser.follow("Revoke…")
    assert page.h1 == "Revoke Acme Notes?"
    assert "Requests already running are cut within two seconds." in page.text
    assert "1 request is running now and may cost up to $0.12." in page.text
    page = await browser.press("Revoke Acme Notes")
    assert browser.path == "/grants"
    assert "Acme Notes is revoked. It can no longer spend anything. Cost so far: $1.84;" in page.text
    assert "what was running may add up to $0.12." in page.text
    page = await browser.go(f"/grants/{grant.id}")
    assert page.h1 == "Acme Notes Revoked"
    assert "Revoked by you on 21 Nov 2026, 13:05 UTC." in page.text
    assert not {"Pause", "Resume"} & {button.label for form in page.forms for button in form.buttons}
    assert not {"Change limits", "Revoke…"} & {text for text, _ in page.links}
    assert ("grant.revoked", "person_ana") in await _events(db, grant.id)


async def test_revoking_what_does_not_run_has_a_final_cost(browser: Browser, lending: Lending, grant: Grant) -> None:
    await lending.call(grant, NOON - MINUTE, 1_840_000)
    await browser.go(f"/grants/{grant.id}/revoke")
    page = await browser.press("Revoke Acme Notes")
    assert "It can no longer spend anything. Final cost: $1.84." in page.text


async def test_keeping_it_changes_nothing(browser: Browser, db: Database, grant: Grant) -> None:
    await browser.go(f"/grants/{grant.id}/revoke")
    page = await browser.follow("Keep it")
    assert page.h1 == "Acme Notes Active"
    assert await _events(db, grant.id) == []


@pytest.mark.parametrize("move", ["pause", "resume", "revoke"])
async def test_a_move_without_the_forms_token_is_refused(
    browser: Browser, db: Database, grant: Grant, move: str
) -> None:
    await browser.post(f"/grants/{grant.id}/{move}", [("form_token", "x")])
    assert browser.status == 403
    assert browser.page.h1 == "This page is out of date"
    assert await _events(db, grant.id) == []


@pytest.mark.parametrize("path", ["", "/revoke", "/limits"])
async def test_another_persons_grant_does_not_exist(
    lending: Lending, browser_of: BrowserOf, grant: Grant, path: str
) -> None:
    stranger = await browser_of(await lending.user("eve", NOON))
    await stranger.go(f"/grants/{grant.id}{path}")
    assert stranger.status == 404
    assert "Acme" not in stranger.page.text


async def test_nobody_moves_another_persons_grant(
    web: object, app: object, lending: Lending, browser_of: BrowserOf, db: Database, grant: Grant
) -> None:
    eve = await lending.user("eve", NOON)
    stranger = await browser_of(eve)
    await stranger.go("/grants")
    own = await lending.grant(eve, await lending.client(), NOON, (await lending.key(eve, NOON), element(NOON)))
    page = await stranger.go(f"/grants/{own.id}")
    (form,) = [form for form in page.forms if form.action.endswith("/pause")]
    await stranger.post(f"/grants/{grant.id}/pause", [("form_token", form.value("form_token"))])
    assert stranger.status == 403
    found = await db.read(lambda tx: grants.load(tx, grant.id))
    assert found is not None
    assert found.state == "active"
