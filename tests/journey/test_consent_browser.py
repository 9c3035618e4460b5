"""The consent page in a real browser: what it shows, and that what it shows is what is enforced."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from broker.store import grant_requests
from broker.store.tables import Client, User
from tests.journey.place import IN_CHROMIUM, WISH, Place

pytestmark = IN_CHROMIUM

SPENDING = "Spending limit, in US dollars"
LOWER = "Lower a limit before you approve"
WITH_AND_WITHOUT_SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])


@pytest_asyncio.fixture(loop_scope="session")
async def ana(place: Place) -> User:
    """A person of her own for each test, with one key."""
    ana = await place.lending.user(place.lending.id("ana"), place.clock())
    await place.lending.key(ana, place.clock())
    return ana


@pytest_asyncio.fixture(loop_scope="session")
async def acme(place: Place) -> Client:
    place.elsewhere.asked.clear()
    return await place.client()


@pytest_asyncio.fixture(loop_scope="session")
async def page(place: Place, ana: User, script: bool) -> AsyncIterator[Page]:
    async with place.lent_page(ana, script=script) as page:
        yield page


@pytest.fixture
def script() -> bool:
    return True


async def press(page: Page, button: str) -> None:
    """As a person would: not within the half second in which decisions are not taken."""
    if await page.locator("html.on").count():
        await page.locator("form[data-decision][data-ready=true]").wait_for()
    await page.get_by_role("button", name=button, exact=True).click()


async def lower_spending(page: Page, amount: str) -> None:
    await page.get_by_text(LOWER).click()
    await page.get_by_label(SPENDING).fill(amount)


async def bottom(page: Page, selector: str) -> float:
    box = await page.locator(selector).last.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


async def test_the_decision_is_on_the_first_screen_and_both_answers_are_of_one_size(
    place: Place, acme: Client, page: Page
) -> None:
    await page.goto(place.authorize(acme))
    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_have_text("Acme Notes wants to use your OpenAI key")
    back = page.get_by_text("After you choose, you go back to")
    await expect(back).to_contain_text(place.callback)
    deny = await page.get_by_role("button", name="Deny", exact=True).bounding_box()
    approve = await page.get_by_role("button", name="Approve", exact=True).bounding_box()
    assert deny is not None
    assert approve is not None
    assert abs(deny["width"] - approve["width"]) <= 1
    assert abs(deny["height"] - approve["height"]) <= 1
    assert deny["y"] == approve["y"]
    assert approve["y"] + approve["height"] <= 720


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_shows_every_line_of_the_summary_at_once(
    place: Place, acme: Client, page: Page, scheme: Any
) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.emulate_media(color_scheme=scheme)
    await page.goto(place.authorize(acme))
    await expect(page.locator("#summary li")).to_have_count(6)
    assert await bottom(page, "#summary li") <= 844


async def test_the_page_asks_nothing_of_any_other_place_and_has_nothing_written_into_it(
    place: Place, acme: Client, ana: User
) -> None:
    context = await place.context(ana)  # it has nothing in its cache
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(place.authorize(acme))
    await page.wait_for_load_state("networkidle")
    assert len(asked) > 2
    assert [url for url in asked if not url.startswith(f"{place.url}/")] == []
    assert await page.locator("[style], style, script:not([src])").count() == 0
    await context.close()


async def test_the_fold_is_closed_and_opens_by_the_keyboard(place: Place, acme: Client, page: Page) -> None:
    await page.goto(place.authorize(acme))
    spending = page.get_by_label(SPENDING)
    await expect(spending).to_be_hidden()
    await page.get_by_text(LOWER).focus()
    await page.keyboard.press("Enter")
    await expect(spending).to_have_value("10.00")
    await expect(spending).to_have_accessible_description(re.compile(r"asked for \$10\.00"))


@WITH_AND_WITHOUT_SCRIPT
async def test_more_than_was_asked_for_is_said_where_it_is_wrong(place: Place, acme: Client, page: Page) -> None:
    await page.goto(place.authorize(acme))
    await lower_spending(page, "12.00")
    async with page.expect_response(lambda response: response.request.method == "POST") as answer:
        await page.get_by_role("button", name="Update summary").click()
    assert (await answer.value).status == 422
    await expect(page).to_have_title(re.compile("^Error: "))
    link = page.get_by_role("alert").get_by_role("link")
    await expect(link).to_have_text("Spending limit must be $10.00 or less, the amount Acme Notes asked for")
    field = page.get_by_label(SPENDING)
    assert await link.get_attribute("href") == f"#{await field.get_attribute('id')}"
    await expect(field).to_have_value("12.00")
    await expect(field).to_have_attribute("aria-invalid", "true")
    if await page.locator("html.on").count():
        await expect(page.locator("[data-focus]")).to_be_focused()


@WITH_AND_WITHOUT_SCRIPT
async def test_what_is_lowered_is_what_every_page_the_token_and_the_proxy_say(
    place: Place, acme: Client, page: Page
) -> None:
    await page.goto(place.authorize(acme))
    address = page.url
    await lower_spending(page, "2.00")
    await press(page, "Approve")
    await page.wait_for_url(f"{place.callback}**")
    said = await (await page.request.get(f"{address}/done")).text()
    assert "up to $2.00" in said
    assert "You lowered: spending limit $10.00 → $2.00." in said

    answered = place.answers()[-1]
    assert (answered["state"], answered["iss"]) == ("state-1", place.url)
    tokens = await place.exchange(acme, answered["code"])
    assert tokens["authorization_details"][0]["budget"]["amount"] == "2.00"

    (grant,) = await place.grants(acme)
    await page.goto(f"{place.url}/grants/{grant.id}")
    await expect(page.get_by_text("$0.00 of $2.00")).to_be_visible()
    assert (await place.call(tokens["access_token"])).status_code == 200
    await place.lending.call(grant, place.clock(), 1_990_000)
    refused = await place.call(tokens["access_token"], max_tokens=32_000)
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exhausted")


@WITH_AND_WITHOUT_SCRIPT
async def test_enter_in_a_field_decides_nothing(place: Place, acme: Client, page: Page) -> None:
    await page.goto(place.authorize(acme))
    address = page.url
    await lower_spending(page, "3.00")
    async with page.expect_response(lambda response: response.request.method == "POST") as answer:
        await page.keyboard.press("Enter")
    assert "action=review" in ((await answer.value).request.post_data or "")
    await expect(page.locator("#summary")).to_contain_text("up to $3.00")
    assert page.url == address
    assert await place.grants(acme) == []
    await expect(page.get_by_role("button", name="Approve", exact=True)).to_be_visible()


@WITH_AND_WITHOUT_SCRIPT
async def test_an_app_on_another_origin_is_reached_and_is_not_told_where_from(
    place: Place, acme: Client, page: Page
) -> None:
    await page.goto(place.authorize(acme))
    await press(page, "Approve")
    await page.wait_for_url(f"{place.callback}**")
    await expect(page.get_by_role("heading")).to_have_text("Back in the app")
    (asked,) = [asked for asked in place.elsewhere.asked if asked.target.startswith("/callback")]
    assert asked.header("referer") == ""
    assert set(place.answers()[0]) == {"code", "state", "iss"}


async def test_the_page_after_the_answer_has_a_link_for_browsers_that_do_not_go_on(place: Place, page: Page) -> None:
    stays = await place.client(redirect_uris=f'["{place.elsewhere.url}/stay"]')
    await page.goto(await place.request(stays))
    assert page.url.startswith(place.url)
    await press(page, "Approve")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Approved")
    onward = page.get_by_role("link", name="Continue to Acme Notes")
    href = await onward.get_attribute("href")
    assert href is not None
    assert href.startswith(f"{place.elsewhere.url}/stay?")
    await expect(page.get_by_role("link", name="Manage this access")).to_be_visible()


@WITH_AND_WITHOUT_SCRIPT
async def test_a_page_that_was_loaded_again_elsewhere_can_still_be_answered(
    place: Place, acme: Client, page: Page
) -> None:
    await page.goto(place.authorize(acme))
    again = await page.context.new_page()
    await again.goto(page.url)
    await expect(again.get_by_role("button", name="Approve", exact=True)).to_be_visible()
    await press(page, "Approve")
    await page.wait_for_url(f"{place.callback}**")
    assert len(await place.grants(acme)) == 1


async def test_two_tabs_that_both_approve_make_one_grant_and_one_answer(place: Place, acme: Client, page: Page) -> None:
    await page.goto(place.authorize(acme))
    again = await page.context.new_page()
    await again.goto(page.url)
    for tab in (page, again):
        await press(tab, "Approve")
        await tab.wait_for_url(f"{place.callback}**")
    first, second = place.answers()
    assert first == second
    assert len(await place.grants(acme)) == 1


async def test_an_answer_given_a_while_ago_is_said_and_not_asked_again(place: Place, acme: Client, page: Page) -> None:
    await page.goto(place.authorize(acme))
    address = page.url
    await press(page, "Approve")
    await page.wait_for_url(f"{place.callback}**")
    await place.db.write(lambda tx: grant_requests.erase_code(tx, address.rpartition("/")[2]))
    await page.goto(address)
    await expect(page.get_by_role("heading", level=1)).to_have_text("You already answered this")
    await expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
    assert len(await place.grants(acme)) == 1


async def test_a_press_in_the_first_half_second_is_not_taken_and_a_double_click_is_one(
    place: Place, acme: Client, page: Page
) -> None:
    await page.goto(place.authorize(acme))
    address = page.url
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    # A window that has just come to the front is as new to its reader as one that has just been loaded.
    await page.evaluate("window.dispatchEvent(new Event('focus')); document.querySelector('[value=approve]').click()")
    await expect(page.locator("#say")).to_have_text("Press again to confirm your choice")
    assert posts == []
    await page.locator("form[data-decision][data-ready=true]").wait_for()
    await page.get_by_role("button", name="Approve", exact=True).dblclick(no_wait_after=True)
    await page.wait_for_url(f"{place.callback}**")
    assert posts == [address]
    assert len(await place.grants(acme)) == 1


@WITH_AND_WITHOUT_SCRIPT
async def test_denying_gives_the_app_nothing(place: Place, acme: Client, page: Page) -> None:
    await page.goto(place.authorize(acme, WISH | {"purpose": "<b>Bold</b>"}))
    await expect(page.locator("blockquote")).to_contain_text("“<b>Bold</b>”")
    await press(page, "Deny")
    await page.wait_for_url(f"{place.callback}**")
    assert place.answers() == [{"error": "access_denied", "state": "state-1", "iss": place.url}]
    assert await place.grants(acme) == []


async def test_a_long_email_makes_no_narrow_page_wider(place: Place) -> None:
    cara = await place.lending.user("cara-" + "x" * 60, place.clock())
    page = await place.page(cara)
    await page.set_viewport_size({"width": 320, "height": 800})
    await page.goto(await place.request(await place.client()))
    assert "x" * 60 in await page.locator("header").inner_text()
    assert await page.evaluate("document.documentElement.scrollWidth") == 320
