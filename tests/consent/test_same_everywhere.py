"""The number on the screen is the number enforced: page, rows, counters and details of one answer agree."""

import json
from random import Random

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import first_excess
from broker.core.details import parse_details
from broker.core.money import MicroUSD, to_decimal
from broker.oauth.consent import read_granted
from broker.store import credentials
from broker.store.database import Database
from broker.store.tables import Credential
from broker.vault.credentials import remove_credential
from broker.web.words import count, instant, money
from tests.browser import Browser
from tests.consent.conftest import Ask, Typed, add_client, asked, press
from tests.consent.stored import counters, stored
from tests.turned_clock import NOON, TurnedClock

WISH = asked(
    models=["gpt-4.1", "gpt-4.1-mini", "o3*"],
    actions=["chat", "embeddings", "tools", "images"],
    rate_limit={"requests_per_minute": 30, "concurrent": 4},
)
ENDS = (3600, 86_400, 604_800)


def _narrowing(chance: Random) -> Typed:
    models, actions = chance.sample(WISH["models"], chance.randint(1, 3)), chance.sample(WISH["actions"], 2)
    return {
        "access-0-budget": to_decimal(MicroUSD(chance.randint(1, 500) * 10_000)),
        "access-0-ends": str(NOON // 1_000_000 + chance.choice(ENDS)),
        "access-0-model": models,
        "access-0-action": actions,
        "access-0-requests": str(chance.randint(1, 1000)),
        "access-0-rpm": str(chance.randint(1, 30)),
        "access-0-tpm": chance.choice(["", "1000"]),
        "access-0-concurrent": str(chance.randint(1, 4)),
        "access-0-output": chance.choice(["", "256"]),
    }


async def test_any_narrowing_is_the_same_on_the_page_in_the_rows_and_in_the_details(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    for seed in range(8):
        typed = _narrowing(Random(seed))
        request_id = await ask(WISH, client=await add_client(db, f"App {seed}"))
        await browser.go(f"/consent/{request_id}")
        shown = await press(browser, "Update summary", typed)
        done = await press(browser, "Approve", {})
        seen = await stored(db, request_id, clock)
        access, (granted,) = seen.only, seen.granted
        amount = money(access.budget, "limit")
        until = instant(access.ends_at)
        assert f"up to {amount} in total" in shown.text
        assert f"stops on {until}" in shown.text
        assert f"can spend up to {amount} from Personal (OpenAI) until {until}." in done.text
        assert f"up to {count(access.max_requests or 0)} request" in shown.text
        assert {"budget": to_decimal(MicroUSD(access.budget)), "ends": str(access.ends_at // 1_000_000)} == {
            name: typed[f"access-0-{name}"] for name in ("budget", "ends")
        }
        assert set(json.loads(access.models)) == set(typed["access-0-model"])
        assert set(json.loads(access.actions)) == set(typed["access-0-action"])
        assert granted.rate_limit.requests_per_minute == int(str(typed["access-0-rpm"])) == access.requests_per_minute
        assert (await counters(db, access))["money grant"] == (access.budget, 0)
        (kept,), _ = read_granted(seen.request)
        assert kept is not None
        assert first_excess(kept, granted) in (None, "identifier")
        assert first_excess(granted, kept) is None
        (wish,) = parse_details(seen.request.asked)
        assert first_excess(granted, wish) == "expires_in"  # replaced by expires_at, which no wish has


async def test_a_key_removed_meanwhile_is_not_lent(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    form = (await browser.go(f"/consent/{request_id}")).forms[0]

    async def remove(tx: AsyncSession) -> None:
        row = await credentials.load(tx, key.id)
        assert row is not None
        assert await remove_credential(tx, row, now=clock(), by="test")

    await db.write(remove)
    page = await browser.submit(form, "Approve")
    assert (browser.status, (await stored(db, request_id, clock)).grants) == (422, [])
    assert ("Choose which key to use", "#access-0-key") in page.links
    assert (2, "You have no OpenAI key here yet") in page.headings


async def test_the_largest_request_there_can_be_is_one_that_can_be_answered(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    wishes = [asked(models=[f"model-{n}-{m}" for m in range(64)]) for n in range(16)]
    request_id = await ask(*wishes)
    await browser.go(f"/consent/{request_id}")
    await browser.press("Approve")
    assert len((await stored(db, request_id, clock)).accesses) == 16
