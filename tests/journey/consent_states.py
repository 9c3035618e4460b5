"""The consent page in every state."""

from typing import Any

from playwright.async_api import Page

from tests.journey.cast import HOSTILE, LENT, WEEK, Cast, lab_of, state
from tests.journey.hands import ask, decide, open_fold, press
from tests.journey.place import WISH
from tests.turned_clock import NOON

MINUTE = 60_000_000
CLAUDE = WISH | {"provider": "anthropic", "models": ["claude-sonnet-4-5"], "actions": ["chat"]}


@state("ana")
async def consent(cast: Cast, page: Page) -> None:
    await ask(cast, page)


@state("ana")
async def consent_with_the_fold_open(cast: Cast, page: Page) -> None:
    await ask(cast, page)
    await open_fold(page)


@state("ana")
async def consent_with_an_amount_too_high(cast: Cast, page: Page) -> None:
    await ask(cast, page)
    await open_fold(page)
    await page.get_by_label("Spending limit, in US dollars").fill("12.00")
    await press(page, "Update summary")


@state("ana")
async def consent_with_nothing_chosen(cast: Cast, page: Page) -> None:
    await ask(cast, page)
    await open_fold(page)
    for box in await page.get_by_role("checkbox").all():
        await box.uncheck()
    await decide(page, "Approve")


@state("ana")
async def consent_to_an_app_nobody_checked(cast: Cast, page: Page) -> None:
    await ask(cast, page, client={"verified": 0, "address": ""})


@state("ana")
async def consent_to_an_app_nobody_checked_without_the_box(cast: Cast, page: Page) -> None:
    await ask(cast, page, client={"verified": 0, "address": ""})
    await decide(page, "Approve")


@state("ana")
async def consent_to_an_app_with_a_hostile_name(cast: Cast, page: Page) -> None:
    wish = WISH | {"purpose": HOSTILE[:280], "models": ["gpt-4.1-mini", "x" * 120]}
    await ask(cast, page, wish, client={"name": HOSTILE})


@state("ana")
async def consent_to_requests_to_a_server_of_ones_own(cast: Cast, page: Page) -> None:
    await lab_of(cast)
    await ask(cast, page, WISH | {"provider": "openai-compatible", "models": ["llama-3.3-70b"]})
    await open_fold(page)


@state("ben")
async def consent_without_a_server_of_ones_own(cast: Cast, page: Page) -> None:
    await ask(cast, page, WISH | {"provider": "openai-compatible", "models": ["llama-3.3-70b"]})


@state("ana")
async def consent_to_any_model(cast: Cast, page: Page) -> None:
    await ask(cast, page, WISH | {"models": ["gpt-*"]})


@state("ana")
async def consent_to_two_providers(cast: Cast, page: Page) -> None:
    await ask(cast, page, WISH, CLAUDE)


@state("ana")
async def consent_to_what_the_app_has(cast: Cast, page: Page) -> None:
    await ask_again(cast, page, WISH | {"budget": {"amount": "5.00", "currency": "USD"}})


@state("ana")
async def consent_to_more_than_the_app_has(cast: Cast, page: Page) -> None:
    await ask_again(cast, page, WISH | {"models": ["gpt-4.1-mini", "gpt-4.1"], "expires_in": 30 * 86_400})


@state("ana")
async def consent_to_more_added(cast: Cast, page: Page) -> None:
    await ask_again(cast, page, WISH | {"budget": {"amount": "8.00", "currency": "USD"}}, CLAUDE, action="merge")


@state("ana")
async def consent_to_something_else_instead(cast: Cast, page: Page) -> None:
    await ask_again(cast, page, CLAUDE, action="replace")


async def ask_again(cast: Cast, page: Page, *wishes: dict[str, Any], action: str = "") -> None:
    client = await cast.place.client()
    grant = await cast.place.lending.grant(cast.ana, client, LENT, (cast.personal, WEEK))
    named = {"action": action, "asked_grant_id": grant.id} if action else {}
    await page.goto(await cast.place.request(client, *wishes, **named))


@state("cleo")
async def consent_without_a_key(cast: Cast, page: Page) -> None:
    await ask(cast, page)


@state("cleo")
async def consent_with_a_key_of_another_provider(cast: Cast, page: Page) -> None:
    await ask(cast, page)
    await page.get_by_label("OpenAI API key", exact=True).fill("sk-ant-0123456789abcdef")
    await press(page, "Check and add key")


@state("ana")
async def consent_approved(cast: Cast, page: Page) -> None:
    await ask(cast, page)
    await open_fold(page)
    await page.get_by_label("Spending limit, in US dollars").fill("2.00")
    await decide(page, "Approve")


@state("ana")
async def consent_denied(cast: Cast, page: Page) -> None:
    await ask(cast, page)
    await decide(page, "Deny")


@state("ana")
async def consent_ended(cast: Cast, page: Page) -> None:
    await ask(cast, page, ends_at=NOON - 1, user_id=cast.ana.id)


@state("ana")
async def consent_answered_a_while_ago(cast: Cast, page: Page) -> None:
    await ask(cast, page, state="denied", decided_at=NOON - 2 * MINUTE, user_id=cast.ana.id)


@state("ana")
async def consent_that_cannot_be_trusted(cast: Cast, page: Page) -> None:
    client = await cast.place.client()
    await page.goto(cast.place.authorize(client, redirect_uri="https://elsewhere.example/" + "x" * 200))
    await page.get_by_text("For the developer").click()
