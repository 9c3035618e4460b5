"""A server of one's own in a real browser: added on the way, named on the page, and where the requests then go."""

import pytest

from broker.store import own_prices
from broker.store.tables import OwnPrice
from tests.journey.place import IN_CHROMIUM, WISH, Place

pytestmark = IN_CHROMIUM

NAME, MODEL = "openai-compatible", "llama3.2:1b"
ASKED = WISH | {"provider": NAME, "models": [MODEL], "actions": ["chat"]}


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_a_person_lends_a_server_of_their_own(place: Place, *, script: bool) -> None:
    lend, now = place.lending, place.clock()
    ana, client = await lend.user(lend.id("ana"), now), await place.client()
    price = OwnPrice(provider=NAME, model="*", created_at=now + script, input=1_000_000, output=2_000_000)
    await place.db.write(lambda tx: own_prices.add(tx, price))
    context = await place.context(ana, script=script)
    page = await context.new_page()
    await page.goto(place.authorize(client, ASKED))
    await page.get_by_label("Address of your server").fill(f"{place.provider.url}/v1")
    await page.get_by_label("API key", exact=False).first.fill("sk-lab-0123456789abcdef")
    await page.get_by_role("button", name="Check and add key").click()
    host = place.provider.url.removeprefix("http://")
    summary = page.locator("#summary")
    await summary.get_by_text(f"sends its requests to {host}, your own server").wait_for()
    assert f"(server at {host}, sk-…cdef)" in await summary.inner_text()
    if script:
        await page.locator("form[data-decision][data-ready=true]").wait_for()
    before = len(place.answers())
    await page.get_by_role("button", name="Approve").click()
    await page.wait_for_url(f"{place.elsewhere.url}/**")
    code = place.answers()[before]["code"]
    token = (await place.exchange(client, code))["access_token"]
    answer = await place.call(token, NAME, model=MODEL)
    assert answer.status_code == 200, answer.text
    asked = place.provider.asked[-1]
    assert (asked.target, asked.header("authorization")) == (
        "/v1/chat/completions",
        "Bearer sk-lab-0123456789abcdef",
    )
    (grant,) = await place.grants(client)
    await page.goto(f"{place.url}/grants/{grant.id}")
    assert f"server at {host}" in await page.locator("main").inner_text()
    await context.close()
