"""A call that the limit does not cover says where its owner raises it: one page, one figure, and the call goes through."""

import json

import pytest

from tests.rights.place import ISSUER, PASSWORD, WISH, Place, code_of, press

SMALL = WISH | {"budget": {"amount": "0.000020", "currency": "USD"}}


async def test_the_owner_raises_the_limit_in_one_step_and_the_same_call_goes_through(place: Place) -> None:
    ana = await place.person()
    token = (await place.granted(await place.browser(ana), await place.client(), SMALL))["access_token"]
    refused = await place.call(token)
    assert (refused.status_code, code_of(refused)) == (402, "budget_exhausted")
    manage_url = refused.json()["error"]["manage_url"]
    assert manage_url.startswith(f"{ISSUER}/grants/grt_")
    browser = await place.browser()
    await browser.go(manage_url.removeprefix(ISSUER))
    assert browser.page.h1 == "Sign in"
    page = await browser.press("Sign in", email="ana@example.com", password=PASSWORD)
    assert page.h1 == "Change limits of Acme Notes"
    (focused,) = [each.name for form in page.forms for each in form.fields if "autofocus" in each.attributes]
    assert (await place.call(token)).status_code == 402, "opening the page grants nothing"
    page = await press(browser, "Save limits", {focused: "1.00"})
    assert "Spending limit $0.00002 → $1.00" in page.text
    assert (await place.call(token)).status_code == 200
    assert (await place.call(token, worker=1)).status_code == 200


async def test_used_up_requests_lead_to_the_field_for_requests(place: Place) -> None:
    browser = await place.browser(await place.person())
    token = (await place.granted(browser, await place.client(), WISH | {"max_requests": 1}))["access_token"]
    assert (await place.call(token)).status_code == 200
    refused = await place.call(token)
    assert (refused.status_code, code_of(refused)) == (402, "requests_exhausted")
    page = await browser.go(refused.json()["error"]["manage_url"].removeprefix(ISSUER))
    assert [each.name for form in page.forms for each in form.fields if "autofocus" in each.attributes] == [
        "access-0-requests"
    ]


async def test_the_page_is_its_owners_alone(place: Place) -> None:
    ana, eve = await place.person("ana"), await place.person("eve")
    token = (await place.granted(await place.browser(ana), await place.client(), SMALL))["access_token"]
    manage_url = (await place.call(token)).json()["error"]["manage_url"]
    theirs = await place.browser(eve)
    await theirs.go(manage_url.removeprefix(ISSUER))
    assert theirs.status == 404


@pytest.mark.parametrize("action", ["merge", "replace"])
async def test_an_app_that_is_refused_may_ask_for_more_instead(place: Place, action: str) -> None:
    browser, client = await place.browser(await place.person()), await place.client()
    tokens = await place.granted(browser, client, SMALL)
    assert (await place.call(tokens["access_token"])).status_code == 402
    more = WISH | {"models": ["alpha", "beta"]}
    await place.ask(browser, client, more, grant_management_action=action, grant_id=tokens["grant_id"])
    assert "Spending $0.00002 in total $5.00 in total Higher" in browser.page.text
    await press(browser, "Approve the change", {"access-0-budget": "1.00", "access-0-model": ["alpha", "beta"]})
    new = await place.exchange(browser, client)
    assert new["grant_id"] == tokens["grant_id"]
    assert json.dumps(new["authorization_details"][0]["models"]) == '["alpha", "beta"]'
    for token in (tokens["access_token"], new["access_token"]):
        assert (await place.call(token, "beta")).status_code == 200, "what a token can do follows its grant"
