"""Every dead end says what happened, what did not, and what to do next; and never more."""

import sqlite3
from pathlib import Path

import pytest

from broker.store.tables import User
from tests.browser import Browser
from tests.stores import Store


@pytest.fixture
def page_store(fresh_sqlite: Store) -> Store:
    """These break a file."""
    return fresh_sqlite


async def test_a_page_that_is_not_there(browser: Browser) -> None:
    await browser.go("/nothing")
    assert (browser.status, browser.page.title) == (404, "Page not found – Broker")
    assert "Nothing was changed." in browser.page.text
    assert f"Error number {browser.response.headers['x-request-id']}" in browser.page.text
    assert ("Go to the start page", "/") in browser.page.links


@pytest.mark.parametrize(("method", "path"), [("GET", "/change"), ("POST", "/grants"), ("DELETE", "/sign-in")])
async def test_a_wrong_method_looks_like_no_page(browser: Browser, method: str, path: str) -> None:
    answer = await browser.client.request(method, path)
    assert answer.status_code == 405
    assert "Page not found" in answer.text
    assert answer.headers["allow"]


async def test_who_is_signed_in_is_said(browser: Browser, ana: User) -> None:
    await browser.go("/nothing")
    assert "Signed in as ana@example.com" in browser.page.text


async def test_a_query_that_cannot_be_read(browser: Browser) -> None:
    await browser.go("/sign-in?request=%ff")
    assert (browser.status, browser.page.h1) == (400, "We could not read that request")


async def test_a_field_that_stands_twice_is_not_chosen_from(browser: Browser) -> None:
    await browser.go("/sign-in?next=/keys&next=/grants")
    assert browser.status == 400


async def test_what_breaks_is_a_number_and_no_more(browser: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    for method in ("GET", "POST"):
        answer = await browser.client.request(method, "/broken")
        assert answer.status_code == 500
        assert "Something broke on our side" in answer.text
        assert "Nothing was " in answer.text
        assert answer.headers["x-request-id"] in answer.text
        assert "canary" not in answer.text
        assert "RuntimeError" not in answer.text


async def test_a_program_gets_json_whatever_it_accepts(browser: Browser) -> None:
    broken = await browser.client.post("/oauth/token", headers={"accept": "text/html"})
    missing = await browser.client.get("/.well-known/nothing")
    wrong = await browser.client.get("/oauth/token")
    assert (broken.status_code, broken.json()["error"]) == (500, "server_error")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    assert (wrong.status_code, wrong.headers["allow"], wrong.json()["error"]) == (405, "POST", "method_not_allowed")
    assert wrong.json()["error_description"] == "This path does not take this method."


async def test_a_store_that_does_not_answer_is_a_page_too(browser: Browser, ana: User, tmp_path: Path) -> None:
    """The books are locked by somebody else: nothing is half written, and the person is told to try again."""
    await browser.go("/sign-in?other=1")
    holder = sqlite3.connect(tmp_path / "broker.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        await browser.press("Sign in", email="ana@example.com", password="x" * 12)
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert (browser.status, browser.page.h1) == (503, "Broker does not answer")
    assert browser.response.headers["retry-after"] == "1"
    assert "Nothing was changed." in browser.page.text


async def test_a_request_that_cannot_be_trusted_ends_here(browser: Browser) -> None:
    """The address it named is text for the developer, and never a link (RFC 9700 §4.11)."""
    await browser.go("/oauth/authorize")
    page = browser.page
    assert (browser.status, page.h1, browser.elsewhere) == (400, "This request cannot be trusted", "")
    assert "nothing was approved" in page.text
    assert "Reason redirect_uri is not registered Client cli_1 Address https://evil.test/<b>" in " ".join(
        page.text.split()
    )
    assert not [href for _, href in page.links if "evil" in href]
