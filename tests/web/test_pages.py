"""What is true of every page: its headers, its parts, its style and its script."""

import re

import pytest

from broker.assets import STATIC, TEMPLATES
from broker.proxy.refuse import STATUS
from broker.store.tables import User
from broker.web.help import REFUSALS
from broker.web.pages import page_headers
from tests.browser import Browser
from tests.html import Page

PUBLIC = ["/sign-in", "/setup/1", "/help/what-apps-see", "/nothing"]


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_page_has_one_heading_which_is_its_title(browser: Browser, path: str) -> None:
    page = await browser.go(path)
    assert page.title.startswith(f"{page.h1} – ")


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_page_has_its_landmarks(browser: Browser, path: str) -> None:
    page = await browser.go(path)
    tags = [tag for tag, _ in page.tags]
    assert [tags.count(tag) for tag in ("main", "header", "footer", "h1")] == [1, 1, 1, 1]
    assert next(attributes for tag, attributes in page.tags if tag == "html") == {"lang": "en"}
    assert page.links[0] == ("Skip to main content", "#main")
    assert "main" in page.ids


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_page_needs_no_inline_style_or_script(browser: Browser, path: str) -> None:
    page = await browser.go(path)
    for tag, attributes in page.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "script" or attributes["src"].startswith("/static/app.js?v=")


@pytest.mark.parametrize("path", PUBLIC)
async def test_ids_are_unique_and_labels_lead_to_fields(browser: Browser, path: str) -> None:
    page = await browser.go(path)
    assert len(page.ids) == len(set(page.ids))
    _labels_lead(page)


def _labels_lead(page: Page) -> None:
    fields = {each.id for each in page.loose}
    assert {attributes["for"] for tag, attributes in page.tags if tag == "label"} <= fields


async def test_pages_are_answered_with_strict_headers(browser: Browser) -> None:
    await browser.go("/help/what-apps-see")
    headers = browser.response.headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "form-action 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


@pytest.mark.parametrize("path", ["/oauth/authorize", "/sign-in", "/consent/grq_1", "/consent/grq_1/done", "/device"])
def test_no_page_on_a_requests_way_cuts_off_the_window_that_opened_it(path: str) -> None:
    assert "cross-origin-opener-policy" not in page_headers(path)


@pytest.mark.parametrize("path", ["/consent/grq_1", "/consent/grq_1/done", "/device"])
def test_a_consent_page_tells_nobody_its_address(path: str) -> None:
    assert page_headers(path)["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("settings", ["https://broker.test"], indirect=True)
async def test_https_is_to_be_kept(browser: Browser) -> None:
    await browser.go("/sign-in")
    assert browser.response.headers["strict-transport-security"] == "max-age=31536000"


async def test_navigation_is_for_people_who_are_signed_in(browser: Browser, ana: User) -> None:
    page = await browser.go("/help/what-apps-see")
    assert [link for link in page.links if link[1] in ("/grants", "/keys")] == [
        ("Apps", "/grants"),
        ("Provider keys", "/keys"),
    ]


async def test_times_are_shown_in_a_zone_that_is_named(browser: Browser) -> None:
    assert "Times are shown in UTC · What apps see" in (await browser.go("/sign-in")).text


async def test_what_a_page_needs_is_there_for_good(browser: Browser) -> None:
    page = await browser.go("/sign-in")
    addresses = [
        attributes.get("href") or attributes["src"] for tag, attributes in page.tags if tag in ("link", "script")
    ]
    for address in addresses:
        answer = await browser.client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    stale = await browser.client.get("/static/app.css?v=00000000")
    assert stale.headers["cache-control"] == "no-cache"
    assert (await browser.client.get("/static/..%2fpyproject.toml")).status_code == 404


def test_style_and_script_stay_small() -> None:
    assert (STATIC / "app.css").stat().st_size <= 15_000
    assert (STATIC / "app.js").stat().st_size <= 3_000


def test_every_template_is_of_the_kind_that_is_escaped() -> None:
    names = [path.name for path in TEMPLATES.iterdir()]
    assert names
    assert [name for name in names if not name.endswith(".html")] == []


def test_no_template_steps_around_escaping() -> None:
    used = {path.name: re.findall(r"\|\s*safe\b|autoescape", path.read_text("utf-8")) for path in TEMPLATES.iterdir()}
    assert [name for name, found in used.items() if found] == []


async def test_what_apps_see_says_what_the_proxy_does(browser: Browser) -> None:
    page = await browser.go("/help/what-apps-see")
    for refusal in REFUSALS:
        for code in refusal.code.split(" or "):
            assert str(STATUS[code]) in refusal.status
            assert code in page.text
    told = {code for refusal in REFUSALS for code in refusal.code.split(" or ")}
    of_the_call = {"not_found", "method_not_allowed", "invalid_request", "too_large", "unsupported_media_type"}
    assert STATUS.keys() - told - of_the_call == {"unavailable"}
