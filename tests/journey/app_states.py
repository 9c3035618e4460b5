"""The pages of apps, their limits, and keys, in every state."""

from functools import partial

from playwright.async_api import Page

from tests.journey.cast import STATES, Cast, lab_of, state
from tests.journey.hands import press

# Whose page it is, and where; what stands in braces is an app of the cast, or a key.
ADDRESSES = {
    "apps of someone without any": ("ben", "/grants"),
    "apps to be paused all": ("ana", "/grants/pause-all"),
    "apps to be paused where there are none": ("ben", "/grants/pause-all"),
    "app over ninety days": ("ana", "/grants/{busy}?days=90"),
    "app without calls": ("ana", "/grants/{fresh}"),
    "app that is paused": ("ana", "/grants/{paused}"),
    "app that reached its limit": ("ana", "/grants/{spent}"),
    "app stopped by the limit of its key": ("ana", "/grants/{tight}"),
    "app that was stopped": ("ana", "/grants/{frozen}"),
    "app whose key is refused": ("ana", "/grants/{broken}"),
    "app that ends soon": ("ana", "/grants/{soon}"),
    "app that ended": ("ana", "/grants/{ended}"),
    "app that was revoked": ("ana", "/grants/{revoked}"),
    "limits": ("ana", "/grants/{busy}/limits"),
    "revoke": ("ana", "/grants/{busy}/revoke"),
    "keys of someone without any": ("ben", "/keys"),
    "keys": ("ana", "/keys"),
    "key to be added": ("ana", "/keys/new"),
    "key without a limit": ("ana", "/keys/{personal}/limit"),
    "key to be replaced": ("ana", "/keys/{personal}/replace"),
    "key to be removed": ("ana", "/keys/{personal}/remove"),
}


async def visit(address: str, cast: Cast, page: Page) -> None:
    ids = {name: grant.id for name, grant in cast.grants.items()}
    await page.goto(cast.place.url + address.format(personal=cast.personal.id, **ids))


STATES.update({name: (person, partial(visit, address)) for name, (person, address) in ADDRESSES.items()})


@state("ana")
async def apps(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/grants")
    await page.get_by_text("Ended apps").click()


@state("ana")
async def app_with_calls_and_refusals(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("busy"))
    await page.get_by_text("Show as a table").click()
    await page.get_by_text("Prices these requests were charged at").click()


@state("ana")
async def app_with_older_calls(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("busy"))
    await page.get_by_role("link", name="Older").click()
    await page.wait_for_load_state()


@state("ana")
async def app_just_paused_and_resumed(cast: Cast, page: Page) -> None:
    await page.goto(cast.grant("fresh"))
    await press(page, "Pause")
    await press(page, "Resume")


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
async def key_refused(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/new")
    await press(page, "Check and add key")


@state("ana")
async def key_for_a_server_that_cannot_be_there(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/new")
    await page.get_by_role("radio", name="OpenAI-compatible server").check()
    await page.get_by_label("Address of your server").fill("https://localhost:8000/v1")
    await press(page, "Check and add key")


@state("ana")
async def keys_of_a_server_of_ones_own(cast: Cast, page: Page) -> None:
    await lab_of(cast)
    await page.goto(f"{cast.place.url}/keys")


@state("ana")
async def key_of_a_server_to_be_replaced(cast: Cast, page: Page) -> None:
    row = await lab_of(cast)
    await page.goto(f"{cast.place.url}/keys/{row.id}/replace")


@state("ana")
async def key_not_replaced(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/{cast.personal.id}/replace")
    await press(page, "Check and replace key")


@state("ana")
async def key_with_a_limit(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys")
    await page.get_by_role("link", name="Change limit of Home").click()
    await page.wait_for_load_state()


@state("ana")
async def key_limit_that_is_none(cast: Cast, page: Page) -> None:
    await page.goto(f"{cast.place.url}/keys/{cast.personal.id}/limit")
    await page.get_by_role("radio", name="Limit for all apps together").check()
    await page.get_by_label("Spending limit, in US dollars").fill("much")
    await press(page, "Save limit")
