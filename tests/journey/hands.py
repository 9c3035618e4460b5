"""What a person does on a page, as the states need it."""

from typing import Any

from playwright.async_api import Page

from tests.journey.cast import Cast


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
