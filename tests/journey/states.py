"""Every page in every state: how one gets there."""

from typing import Any

from playwright.async_api import Page

from broker.identity.setup import setup_code
from tests.journey.cast import HOSTILE, LENT, WEEK, Cast, state
from tests.journey.place import WISH
from tests.turned_clock import NOON

MINUTE = 60_000_000


async def press(page: Page, button: str) -> None:
    await page.get_by_role("button", name=button).first.click()
    await page.wait_for_load_state()


async def decide(page: Page, button: str) -> None:
    await page.locator("form[data-decision][data-ready=true]").wait_for()
    await press(page, button)


async def open_fold(page: Page) -> None:
    await page.locator("details.lim").evaluate("fold => { fold.open = true }")


async def ask(
    cast: Cast, page: Page, *wishes: dict[str, Any], client: dict[str, Any] | None = None, **row: Any
) -> None:
    """A new app asks; whatever is answered, the browser stays with us."""
    asks = await cast.place.client(**({"redirect_uris": f'["{cast.place.elsewhere.url}/stay"]'} | (client or {})))
    await page.goto(await cast.place.request(asks, *wishes, **row))


# -- setup and sign-in -----------------------------------------------------------------------------------------


async def enter_setup_code(cast: Cast, page: Page) -> None:
    code = await cast.place.db.write(lambda tx: setup_code(tx, cast.place.clock()))
    assert code is not None
    await page.goto(f"{cast.place.url}/setup/1")
    await page.get_by_label("Enter the setup code").fill(code.reveal())
    await press(page, "Continue")


@state("nobody")
async def setup_asks_for_the_code(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/setup/1")


@state("nobody")
async def setup_refuses_a_code(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/setup/1")
    await press(page, "Continue")


@state("nobody")
async def setup_asks_for_the_account(cast: Cast, page: Page) -> None:
    await enter_setup_code(cast, page)


@state("nobody")
async def setup_refuses_an_account(cast: Cast, page: Page) -> None:
    await enter_setup_code(cast, page)
    await press(page, "Make the account")


@state("nobody")
async def sign_in(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/sign-in")


@state("nobody")
async def sign_in_while_an_app_waits(cast: Cast, page: Page) -> None:
    await ask(cast, page)


@state("nobody")
async def sign_in_without_anything_typed(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/sign-in")
    await press(page, "Sign in")


@state("nobody")
async def sign_in_tried_too_often(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/sign-in")
    for _ in range(3):
        await page.get_by_label("Email").fill("nobody@example.com")
        await page.get_by_label("Password", exact=True).fill("not a password")
        await press(page, "Sign in")


@state("dora")
async def signed_out(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/grants")
    await press(page, "Sign out")


# -- consent ---------------------------------------------------------------------------------------------------


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
    wish = WISH | {"purpose": HOSTILE, "models": ["gpt-4.1-mini", "x" * 120]}
    await ask(cast, page, wish, client={"name": HOSTILE})


@state("ana")
async def consent_to_any_model(cast: Cast, page: Page) -> None:
    await ask(cast, page, WISH | {"models": ["gpt-*"]})


@state("ana")
async def consent_to_two_providers(cast: Cast, page: Page) -> None:
    claude = WISH | {"provider": "anthropic", "models": ["claude-sonnet-4-5"], "actions": ["chat"]}
    await ask(cast, page, WISH, claude)


@state("ana")
async def consent_to_what_the_app_has(cast: Cast, page: Page) -> None:
    await ask_again(cast, page, WISH | {"budget": {"amount": "5.00", "currency": "USD"}})


@state("ana")
async def consent_to_more_than_the_app_has(cast: Cast, page: Page) -> None:
    await ask_again(cast, page, WISH | {"models": ["gpt-4.1-mini", "gpt-4.1"], "expires_in": 30 * 86_400})


async def ask_again(cast: Cast, page: Page, wish: dict[str, Any]) -> None:
    client = await cast.place.client()
    await cast.place.lending.grant(cast.ana, client, LENT, (cast.personal, WEEK))
    await page.goto(await cast.place.request(client, wish))


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


# -- apps ------------------------------------------------------------------------------------------------------


@state("ben")
async def apps_of_someone_without_any(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/grants")


@state("ana")
async def apps(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/grants")
    await page.get_by_text("Ended apps").click()


@state("ana")
async def apps_to_be_paused_all(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/grants/pause-all")


@state("ben")
async def apps_to_be_paused_where_there_are_none(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/grants/pause-all")


@state("ana")
async def app_with_calls_and_refusals(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("busy"))
    await page.get_by_text("Show as a table").click()
    await page.get_by_text("Prices these requests were charged at").click()


@state("ana")
async def app_over_ninety_days(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.grant('busy')}?days=90")


@state("ana")
async def app_with_older_calls(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("busy"))
    await page.get_by_role("link", name="Older").click()


@state("ana")
async def app_without_calls(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("fresh"))


@state("ana")
async def app_just_paused_and_resumed(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("fresh"))
    await press(page, "Pause")
    await press(page, "Resume")


@state("ana")
async def app_that_is_paused(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("paused"))


@state("ana")
async def app_that_reached_its_limit(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("spent"))


@state("ana")
async def app_that_was_stopped(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("frozen"))


@state("ana")
async def app_whose_key_is_refused(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("broken"))


@state("ana")
async def app_that_ends_soon(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("soon"))


@state("ana")
async def app_that_ended(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("ended"))


@state("ana")
async def app_that_was_revoked(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("revoked"))


@state("ana")
async def limits(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.grant('busy')}/limits")


@state("ana")
async def limits_with_errors(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.grant('fresh')}/limits")
    await page.get_by_label("Spending limit, in US dollars").fill("abc")
    for box in await page.get_by_role("checkbox").all():
        await box.uncheck()
    await press(page, "Save limits")


@state("ana")
async def limits_below_what_is_spent(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.grant('spent')}/limits")
    await page.get_by_label("Spending limit, in US dollars").fill("1.00")
    await press(page, "Save limits")


@state("ana")
async def revoke(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.grant('busy')}/revoke")


# -- keys ------------------------------------------------------------------------------------------------------


@state("ben")
async def keys_of_someone_without_any(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys")


@state("ana")
async def keys(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys")


@state("ana")
async def key_to_be_added(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/new")


@state("ana")
async def key_refused(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/new")
    await press(page, "Check and add key")


@state("ana")
async def key_to_be_replaced(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/{cast.personal.id}/replace")


@state("ana")
async def key_not_replaced(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/{cast.personal.id}/replace")
    await press(page, "Check and replace key")


@state("ana")
async def key_to_be_removed(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/{cast.personal.id}/remove")


# -- the rest --------------------------------------------------------------------------------------------------


@state("nobody")
async def what_apps_see(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/help/what-apps-see")


@state("ana")
async def what_apps_see_signed_in(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/help/what-apps-see")


@state("nobody")
async def no_such_page(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/nothing")


@state("ben")
async def page_of_someone_else(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("busy"))


@state("ana")
async def form_that_is_out_of_date(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("fresh"))
    await page.evaluate("document.querySelectorAll('[name=form_token]').forEach(each => { each.value = 'old' })")
    await press(page, "Pause")
