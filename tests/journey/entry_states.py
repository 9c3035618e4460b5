"""The pages before one is in: setup, sign-in, and what is said to whoever is in the wrong place."""

from playwright.async_api import Page

from broker.identity.setup import setup_code
from tests.journey.cast import Cast, state
from tests.journey.hands import ask, press


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
