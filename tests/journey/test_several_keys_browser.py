"""Several keys chosen on the consent page in a real browser, and a call that goes on with the second of them."""

import asyncio

import pytest

from broker.core.secret import Secret
from tests.fake_provider import Asked, answer_chat, whole
from tests.journey.hands import open_fold
from tests.journey.place import IN_CHROMIUM, Place

pytestmark = IN_CHROMIUM

FIRST, SECOND = Secret("sk-first-0123456789abcdef"), Secret("sk-second-0123456789abcdef")
LIMITED = {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_a_person_lends_two_keys_and_calls_go_on_with_the_second(place: Place, *, script: bool) -> None:
    lend, now = place.lending, place.clock()
    ana, client = await lend.user(lend.id("ana"), now), await place.client()
    await lend.key(ana, now, "First", key=FIRST)
    await lend.key(ana, now + 1, "Second", key=SECOND)
    await lend.key(ana, now + 2, "Third", key=Secret("sk-third-0123456789abcdef"))
    context = await place.context(ana, script=script)
    page = await context.new_page()
    await page.goto(place.authorize(client))
    if not script:
        assert await page.locator("details.lim").get_attribute("open") is not None
    elif await page.locator("details.lim").get_attribute("open") is None:
        await open_fold(page)
    await page.get_by_role("group", name="Key to use").get_by_label("First").check()
    await page.get_by_role("group", name="Keys to go on with").get_by_label("Second").check()
    await page.get_by_role("button", name="Update summary").click()
    said = "goes on with Second (OpenAI, sk-…cdef) when that key is limited, refused or out of credit"
    await page.locator("#summary").get_by_text(said).wait_for()
    if script:
        await page.locator("form[data-decision][data-ready=true]").wait_for()
    before = len(place.answers())
    await page.get_by_role("button", name="Approve").click()
    await page.wait_for_url(f"{place.callback}**")
    token = (await place.exchange(client, place.answers()[before]["code"]))["access_token"]

    async def limits_the_first(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.header("authorization").endswith(FIRST.reveal()):
            writer.write(whole(LIMITED, 429, "retry-after: 900"))
        else:
            await answer_chat(asked, writer)

    seen, place.provider.script = len(place.provider.asked), limits_the_first
    try:
        answer = await place.call(token)
    finally:
        place.provider.script = answer_chat
    assert answer.status_code == 200, answer.text
    used = [asked.header("authorization").removeprefix("Bearer ") for asked in place.provider.asked[seen:]]
    assert used == [FIRST.reveal(), SECOND.reveal()]
    (grant,) = await place.grants(client)
    await page.goto(f"{place.url}/grants/{grant.id}")
    main = await page.locator("main").inner_text()
    assert "Second (OpenAI, sk-…cdef)" in main
    assert "Third" not in main
    await context.close()
