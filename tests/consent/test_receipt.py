"""Each approval leaves a receipt that anyone can verify, and that says what the page, the rows and the tokens say."""

import asyncio
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet
from jsonschema import Draft202012Validator
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.details import parse_details
from broker.core.errors import InvalidToken
from broker.core.handle import digest
from broker.oauth.receipt_schema import SCHEMA
from broker.oauth.signing import Signer
from broker.store.database import Database
from broker.store.grant_tables import ConsentReceipt
from broker.store.tables import Client, Credential, User
from tests.browser import Browser
from tests.consent.conftest import ASKED, Ask, SignIn, add_client, add_key, add_user, asked, press
from tests.consent.stored import stored
from tests.turned_clock import TurnedClock


async def receipts(db: Database) -> list[ConsentReceipt]:
    async def work(tx: AsyncSession) -> list[ConsentReceipt]:
        query = select(ConsentReceipt).order_by(ConsentReceipt.created_at)  # type: ignore[arg-type]
        return list((await tx.exec(query)).all())

    return await db.read(work)


def verified(signed: str, signer: Signer, clock: TurnedClock) -> dict[str, Any]:
    """As a stranger verifies it who has nothing but the key set and the schema."""
    keys = KeySet.import_key_set(signer.jwks(clock()))  # type: ignore[arg-type]
    opened = jws.deserialize_compact(signed, keys, algorithms=["ES256"])
    assert opened.headers()["typ"] == "consent-receipt+jwt"
    claims: dict[str, Any] = json.loads(opened.payload)
    Draft202012Validator(SCHEMA).validate(claims)
    return claims


async def test_a_receipt_says_who_asked_for_what_and_what_was_given(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock, signer: Signer, acme: Client
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    await press(browser, "Approve", {"access-0-budget": "2.00", "access-0-action": ["chat"]})
    (receipt,), seen = await receipts(db), await stored(db, request_id, clock)
    claims = verified(receipt.signed, signer, clock)
    assert (claims["iss"], claims["client_id"]) == (signer.issuer, acme.id)
    assert claims["sub"] == signer.subject("usr_ana", acme.id)
    assert claims["client"] == {"name": "Acme Notes", "address": "acme.example", "verified": True}
    assert claims["request"]["authorization_details"] == [ASKED]
    assert claims["request"]["digest"] == digest(seen.request.asked)
    assert claims["decision"]["grant_id"] == seen.request.grant_id == receipt.grant_id
    assert claims["decision"]["decided_at"] * 1_000_000 <= (seen.request.decided_at or 0)
    assert claims["decision"]["effect"] == "new"
    (given,) = parse_details(claims["decision"]["authorization_details"], "token")
    (granted,) = seen.granted
    assert (given.budget, given.actions, given.expires_at) == (granted.budget, ("chat",), granted.expires_at)
    assert given.models == granted.models


async def test_the_digest_is_of_the_words_that_the_page_said(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock, signer: Signer
) -> None:
    await browser.go(f"/consent/{await ask()}")
    page = await press(browser, "Update summary", {"access-0-budget": "2.00"})
    await press(browser, "Approve", {})
    (receipt,) = await receipts(db)
    claims = verified(receipt.signed, signer, clock)
    assert claims["shown"] == {"language": "en", "digest_alg": "sha-256", "digest": digest(receipt.shown)}
    assert_said(receipt.shown, page.text)
    assert "up to $2.00 in total" in receipt.shown
    assert "from Personal (OpenAI, sk-…" in receipt.shown
    assert "Summarise your meeting notes once a day." in receipt.shown


def assert_said(shown: str, page: str) -> None:
    """Line by line; whether an address is verified stands in a box of its own on the page."""
    *lines, salt = [line for line in shown.splitlines() if line]
    assert salt.startswith("Salt salt_")
    on_page = " ".join(page.split())
    for line in lines:
        for words in line.removeprefix("- ").split(", address verified. "):
            assert words in on_page


async def test_a_wider_request_and_an_unverified_app_are_told_as_they_were(
    sign_in: SignIn, ask: Ask, db: Database, web: Any, clock: TurnedClock, signer: Signer, ana: User
) -> None:
    browser = await sign_in(ana)
    await add_key(db, web, ana)
    stranger = await add_client(db, "Stranger", verified=False, address="")
    await browser.go(f"/consent/{await ask(client=stranger)}")
    await press(browser, "Approve", {"known": "1"})
    clock.turn(60)
    wider = asked(models=["gpt-4.1-mini", "o3"], budget={"amount": "9.00", "currency": "USD"})
    first_look = await browser.go(f"/consent/{await ask(wider, client=stranger)}")
    await press(browser, "Approve the change", {"known": "1", "access-0-model": ["gpt-4.1-mini", "o3"]})
    first, second = [verified(each.signed, signer, clock) for each in await receipts(db)]
    assert (first["decision"]["effect"], second["decision"]["effect"]) == ("new", "more")
    assert first["decision"]["grant_id"] == second["decision"]["grant_id"]
    assert second["client"]["verified"] is False
    told = (await receipts(db))[1].shown
    assert "This app is not verified" in told
    assert "Ticked: I started this myself" in told
    assert "Asked for: adds o3" in told
    assert first_look.h1 in told


async def test_a_denial_and_a_refused_answer_leave_none(
    browser: Browser, ask: Ask, key: Credential, db: Database
) -> None:
    await browser.go(f"/consent/{await ask()}")
    await press(browser, "Approve", {"access-0-budget": "900"})
    assert await receipts(db) == []
    await press(browser, "Deny", {})
    assert await receipts(db) == []


async def test_one_approval_pressed_many_times_leaves_one(
    browser: Browser, ask: Ask, key: Credential, db: Database
) -> None:
    await browser.go(f"/consent/{await ask()}")
    (form,) = [form for form in browser.page.forms if any(each.label == "Approve" for each in form.buttons)]
    pairs = form.filled("Approve", {})
    await asyncio.gather(*(browser.client.post(form.action, data=dict(pairs)) for _ in range(5)))
    assert len(await receipts(db)) == 1


async def test_the_person_can_download_the_receipt_and_the_words_and_nobody_else_can(
    browser: Browser, ask: Ask, key: Credential, db: Database, sign_in: SignIn
) -> None:
    await browser.go(f"/consent/{await ask()}")
    await press(browser, "Approve", {})
    (receipt,) = await receipts(db)
    path = f"/grants/{receipt.grant_id}/receipts/{receipt.id}"
    signed = await browser.client.get(path)
    assert (signed.status_code, signed.text) == (200, receipt.signed)
    assert signed.headers["content-type"] == "application/jwt"
    assert signed.headers["content-disposition"] == f'attachment; filename="{receipt.id}.jwt"'
    assert signed.headers["cache-control"] == "no-store"
    shown = await browser.client.get(f"{path}/shown")
    assert digest(shown.text) == json.loads(jws.extract_compact(receipt.signed.encode()).payload)["shown"]["digest"]
    other = await sign_in(await add_user(db, "ben"))
    for each in (path, f"{path}/shown", f"/grants/grt_other/receipts/{receipt.id}", f"{path}x"):
        assert (await other.client.get(each)).status_code == 404
    assert (await browser.client.get(f"/grants/grt_other/receipts/{receipt.id}")).status_code == 404


async def test_a_receipt_names_no_key_and_no_person_and_two_of_the_same_words_differ(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock, signer: Signer
) -> None:
    digests = set()
    for number in range(2):
        client = await add_client(db, "Acme Notes")
        await browser.go(f"/consent/{await ask(client=client)}")
        await press(browser, "Approve", {})
        claims = verified((await receipts(db))[number].signed, signer, clock)
        digests.add(claims["shown"]["digest"])
        written = json.dumps(claims)
        assert "usr_ana" not in written
        assert "ana@example.com" not in written
        assert key.id not in written
        assert key.last_four not in written
    assert len(digests) == 2


async def test_a_receipt_is_no_token_and_a_changed_one_is_none(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock, signer: Signer
) -> None:
    await browser.go(f"/consent/{await ask()}")
    await press(browser, "Approve", {})
    (receipt,) = await receipts(db)
    with pytest.raises(InvalidToken):
        signer.verify_access_token(receipt.signed, clock())
    head, body, signature = receipt.signed.split(".")
    with pytest.raises(Exception, match=r"bad_signature|BadSignature|invalid"):
        verified(f"{head}.{body[:-2]}AA.{signature}", signer, clock)


def test_the_schema_is_one_and_takes_nothing_that_it_does_not_name() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    digest_of = {"digest_alg": "sha-256", "digest": "0" * 64}
    decision = {"grant_id": "grt_1", "decided_at": 1, "effect": "new", "dpop_required": False}
    claims = {"iss": "i", "iat": 1, "jti": "j", "receipt_version": "1", "sub": "s", "client_id": "c"}
    claims |= {"client": {"name": "n", "address": "a", "verified": True}, "shown": {"language": "en", **digest_of}}
    claims |= {"decision": decision | {"authorization_details": [ASKED]}}
    asked = {"id": "r", "kind": "code", "received_at": 1, "authorization_details": [ASKED], **digest_of}
    schema = Draft202012Validator(SCHEMA)
    assert schema.is_valid(claims | {"request": asked})
    for wrong in ({}, {"request": asked | {"more": 1}}, {"request": asked, "more": 1}, {"request": asked, "iat": "1"}):
        assert not schema.is_valid(claims | wrong)
    assert not schema.is_valid(claims | {"request": asked | {"digest": "x"}})
