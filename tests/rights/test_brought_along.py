"""Apps that nobody registered go the whole way, as what they are; and what is theirs ends with them in every process."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Browser
from tests.oauth.published import PublishedWeb
from tests.oauth.world import CALLBACK, Registered
from tests.rights.place import Place, code_of, open_place, press

URL = "https://apps.acme.example/notes.json"
DOCUMENT = {"client_id": URL, "client_name": "Acme Notes", "redirect_uris": [CALLBACK]}
APP = {"client_name": "Acme Notes", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}


@pytest.fixture
def web() -> PublishedWeb:
    return PublishedWeb()


@pytest.fixture
async def place(tmp_path: Path, migrated: Path, web: PublishedWeb) -> AsyncIterator[Place]:
    async with open_place(tmp_path, migrated, web, client_registration=True) as made:
        yield made


async def granted(place: Place, browser: Browser, client: Registered) -> dict[str, Any]:
    await place.ask(browser, client)
    assert "This app is not verified" in browser.page.text
    await press(browser, "Approve", {"known": ["1"]})
    return await place.exchange(browser, client)


async def test_one_that_registered_itself_calls_until_it_removes_itself(place: Place) -> None:
    told = (await place.https[0].post("/oauth/register", json=APP)).json()
    browser, client = await place.browser(await place.person()), Registered(told["client_id"], None)
    tokens = await granted(place, browser, client)
    for worker in (0, 1):
        assert (await place.call(tokens["access_token"], worker=worker)).status_code == 200
    own = told["registration_client_uri"]
    bearer = {"authorization": f"Bearer {told['registration_access_token']}"}
    assert (await place.https[1].get(own, headers=bearer)).json()["client_name"] == "Acme Notes"
    assert (await place.https[0].delete(own, headers=bearer)).status_code == 204
    for worker in (1, 0):
        refused = await place.call(tokens["access_token"], worker=worker)
        assert (refused.status_code, code_of(refused)) == (401, "invalid_token")


async def test_its_tokens_open_no_registration(place: Place) -> None:
    told = (await place.https[0].post("/oauth/register", json=APP)).json()
    browser, client = await place.browser(await place.person()), Registered(told["client_id"], None)
    tokens = await granted(place, browser, client)
    for token in tokens["access_token"], tokens["refresh_token"]:
        bearer = {"authorization": f"Bearer {token}"}
        assert (await place.https[0].get(told["registration_client_uri"], headers=bearer)).status_code == 401
    refused = await place.call(told["registration_access_token"])
    assert (refused.status_code, code_of(refused)) == (401, "invalid_token")


async def test_one_with_a_document_calls_and_its_document_is_read_once(place: Place, web: PublishedWeb) -> None:
    web.publish(URL, DOCUMENT)
    browser, client = await place.browser(await place.person()), Registered(URL, None)
    tokens = await granted(place, browser, client)
    assert "apps.acme.example" in (await browser.go("/grants")).text
    for worker in (0, 1):
        assert (await place.call(tokens["access_token"], worker=worker)).status_code == 200
    refreshed = await place.post(
        "/oauth/token", client, grant_type="refresh_token", refresh_token=tokens["refresh_token"]
    )
    assert refreshed.status_code == 200
    assert web.asked == [URL]


async def test_what_a_document_was_given_another_of_the_same_name_is_asked_for_again(
    place: Place, web: PublishedWeb
) -> None:
    other = "https://evil.example/notes.json"
    web.publish(URL, DOCUMENT)
    web.publish(other, DOCUMENT | {"client_id": other})
    browser = await place.browser(await place.person())
    await granted(place, browser, Registered(URL, None))
    await place.ask(browser, Registered(other, None))
    assert "evil.example Address not verified" in browser.page.text
    assert "You have not used it before." in browser.page.text


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("client_id=https%3A%2F%2F127.0.0.1%2Fc", "This request cannot be trusted"),
        ("client_id=https%3A%2F%2Fnobody.example%2Fc", "This request cannot be trusted"),
    ],
)
async def test_an_address_without_a_document_is_a_dead_end(place: Place, path: str, says: str) -> None:
    browser = await place.browser(await place.person())
    page = await browser.go(f"/oauth/authorize?{path}")
    assert (browser.status, page.h1) == (400, says)


async def test_a_client_whose_host_is_down_is_a_page_that_says_so(place: Place, web: PublishedWeb) -> None:
    web.publish(URL, DOCUMENT)
    browser = await place.browser(await place.person())
    await place.ask(browser, Registered(URL, None))
    web.answers.clear()
    place.clock.turn(600)
    await place.ask(browser, Registered(URL, None))
    assert (browser.status, browser.page.h1) == (503, "This app cannot be reached")
    assert "Try again in a moment" in browser.page.text
