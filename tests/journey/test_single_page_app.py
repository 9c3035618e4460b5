"""A page on another origin, in a real browser: it connects and calls without a server of its own, and no other page can."""

from typing import Any

import pytest_asyncio
from playwright.async_api import Page

from broker.store.tables import Client, User
from tests.journey.place import IN_CHROMIUM, VERIFIER, Place
from tests.journey.test_consent_browser import press

pytestmark = IN_CHROMIUM

FETCH = """async ([address, options]) => {
  try {
    const answer = await fetch(address, options)
    return {status: answer.status, body: await answer.text(), challenge: answer.headers.get("www-authenticate"),
            number: answer.headers.get("x-request-id")}
  } catch (error) { return {status: 0, body: String(error)} }
}"""
"""What a page can read of an answer; status 0 is that of one it may not read."""


async def fetch(page: Page, address: str, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await page.evaluate(FETCH, [address, options])
    return answer


def posting(fields: dict[str, str]) -> dict[str, Any]:
    body = "&".join(f"{name}={value}" for name, value in fields.items())
    return {"method": "POST", "body": body, "headers": {"content-type": "application/x-www-form-urlencoded"}}


def calling(token: str) -> dict[str, Any]:
    body = '{"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}'
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}", "x-stainless-lang": "js"}
    return {"method": "POST", "body": body, "headers": headers}


@pytest_asyncio.fixture(loop_scope="session")
async def ana(place: Place) -> User:
    ana = await place.lending.user(place.lending.id("ana"), place.clock())
    await place.lending.key(ana, place.clock())
    return ana


@pytest_asyncio.fixture(loop_scope="session")
async def app(place: Place) -> Client:
    """Its page is where it is sent back to."""
    place.elsewhere.asked.clear()
    return await place.client(origins=f'["{place.elsewhere.url}"]')


async def connected(place: Place, ana: User, app: Client) -> tuple[Page, dict[str, str]]:
    """The page of the app with its code in the address, and what it exchanges."""
    context = await place.context(ana)
    page = await context.new_page()
    await page.goto(place.authorize(app))
    await press(page, "Approve")
    await page.wait_for_url(f"{place.callback}?**")
    (answer,) = place.answers()
    fields = {"grant_type": "authorization_code", "client_id": app.id, "code": answer["code"]}
    return page, fields | {"code_verifier": VERIFIER}


async def test_a_page_connects_and_calls(place: Place, ana: User, app: Client) -> None:
    page, fields = await connected(place, ana, app)
    asking = {"headers": {"mcp-protocol-version": "2025-11-25"}}
    found = await fetch(page, f"{place.url}/.well-known/oauth-authorization-server", **asking)
    assert found["status"] == 200
    token = await page.evaluate(
        "async ([address, options]) => (await (await fetch(address, options)).json()).access_token",
        [f"{place.url}/oauth/token", posting(fields)],
    )
    answer = await fetch(page, f"{place.url}/proxy/openai/v1/chat/completions", **calling(token))
    assert answer["status"] == 200
    assert "Hello" in answer["body"]
    assert answer["number"].startswith("req_")
    refused = await fetch(page, f"{place.url}/proxy/openai/v1/chat/completions", **calling("nonsense"))
    assert (refused["status"], "invalid_token" in refused["challenge"]) == (401, True)
    again = await fetch(page, f"{place.url}/oauth/token", **posting(fields))
    assert (again["status"], "invalid_grant" in again["body"]) == (400, True)
    await page.context.close()


async def test_another_page_reads_nothing_even_in_the_browser_of_a_person_who_is_signed_in(
    place: Place, ana: User, app: Client
) -> None:
    page, fields = await connected(place, ana, app)
    # Another origin on this computer, which no client has registered.
    await page.goto(place.callback.replace("127.0.0.1", "localhost"))
    assert (await fetch(page, f"{place.url}/oauth/token", **posting(fields)))["status"] == 0
    assert (await fetch(page, f"{place.url}/proxy/openai/v1/chat/completions", **calling("x")))["status"] == 0
    for path in ("/grants", "/keys", "/oauth/authorize", "/"):
        assert (await fetch(page, f"{place.url}{path}", credentials="include"))["status"] == 0
    assert (await fetch(page, f"{place.url}/.well-known/jwks.json"))["status"] == 200
    with_cookies = await fetch(page, f"{place.url}/.well-known/jwks.json", credentials="include")
    assert with_cookies["status"] == 0
    await page.context.close()


async def test_the_page_of_the_app_itself_reads_no_page_of_ours(place: Place, ana: User, app: Client) -> None:
    page, _ = await connected(place, ana, app)
    for path in ("/grants", "/keys", "/oauth/authorize", "/sign-in"):
        assert (await fetch(page, f"{place.url}{path}", credentials="include"))["status"] == 0
    await page.context.close()
