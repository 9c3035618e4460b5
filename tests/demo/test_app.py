"""The demo app follows the rules for OAuth apps, and says in words what happens to it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.responses import Response

from broker.demo.app import ASKED, make_demo_app
from broker.demo.oauth_client import Registration
from tests.demo.fake_broker import ISSUER, FakeBroker, refusal

HELLO = [{"role": "user", "content": "Hello"}]


@dataclass
class Visitor:
    """A browser at the demo app, which knows the broker behind it."""

    browser: httpx.AsyncClient
    broker: FakeBroker
    now: list[float] = field(default_factory=lambda: [1_763_760_000.0])

    async def connect(self) -> str:
        """Presses Connect; gives the state that the broker would send back."""
        sent = await self.browser.get("/connect")
        assert sent.headers["location"].startswith(f"{ISSUER}/oauth/authorize?"), await self.page()
        return self.broker.pushed["state"]

    async def come_back(self, **answer: str) -> str:
        back = await self.browser.get("/callback", params={"iss": ISSUER, **answer})
        assert back.headers["location"] == "/"
        return await self.page()

    async def connected(self) -> str:
        return await self.come_back(state=await self.connect(), code="good")

    async def page(self) -> str:
        return (await self.browser.get("/")).text

    async def say_hello(self) -> httpx.Response:
        return await self.browser.post("/chat", json=HELLO)


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    broker = FakeBroker()
    now = [1_763_760_000.0]
    http = httpx.AsyncClient(transport=httpx.ASGITransport(broker.app()))
    app = make_demo_app(http, Registration(ISSUER, "cli_1", "s3cret/", "http://demo.test/callback"), lambda: now[0])
    transport = httpx.ASGITransport(app)
    async with http, httpx.AsyncClient(transport=transport, base_url="http://demo.test") as browser:
        yield Visitor(browser, broker, now)


async def test_it_pushes_what_it_asks_and_sends_the_browser_with_a_reference(visitor: Visitor) -> None:
    sent = await visitor.browser.get("/connect")
    pushed = visitor.broker.pushed
    assert sent.status_code == 303
    assert parse_qs(urlsplit(sent.headers["location"]).query) == {
        "client_id": ["cli_1"],
        "request_uri": ["urn:example:1"],
    }
    assert json.loads(pushed["authorization_details"]) == ASKED
    assert (pushed["response_type"], pushed["code_challenge_method"]) == ("code", "S256")


async def test_it_shows_what_was_granted_and_not_what_it_asked(visitor: Visitor) -> None:
    page = await visitor.connected()
    assert "$2.00" in page
    assert "$5.00" not in page
    assert "29 November 2025, 10:00 UTC" in page
    assert f"{ISSUER}/grants" in page


async def test_its_page_runs_under_a_strict_policy(visitor: Visitor) -> None:
    answer = await visitor.browser.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert " style=" not in answer.text
    assert (await visitor.browser.get("/demo.js")).headers["content-type"].startswith("text/javascript")
    assert (await visitor.browser.get("/demo.css")).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"state": "forged", "code": "good"}, "belongs to another attempt"),
        ({"iss": "http://evil.test", "code": "good"}, "did not come from the broker"),
        ({"iss": "", "code": "good"}, "did not come from the broker"),
        ({"error": "access_denied"}, "You said no"),
        ({"error": "server_error", "error_description": "Try again later."}, "Try again later."),
        ({"code": "bad"}, "This access has ended."),
    ],
    ids=["state", "issuer", "no issuer", "denied", "error", "bad code"],
)
async def test_an_answer_that_gives_no_access_is_told_in_words(
    visitor: Visitor, answer: dict[str, str], sentence: str
) -> None:
    page = await visitor.come_back(**{"state": await visitor.connect(), **answer})
    assert sentence in page
    assert 'href="/connect"' in page
    assert sentence not in await visitor.page(), "it is told once"


async def test_an_answer_is_taken_once(visitor: Visitor) -> None:
    state = await visitor.connect()
    await visitor.come_back(state=state, code="bad")
    assert "belongs to no attempt" in await visitor.come_back(state=state, code="good")


async def test_another_browser_cannot_finish_the_attempt(visitor: Visitor) -> None:
    state = await visitor.connect()
    visitor.browser.cookies.clear()
    assert "belongs to no attempt" in await visitor.come_back(state=state, code="good")


async def test_a_broker_with_another_name_is_not_believed(visitor: Visitor) -> None:
    visitor.broker.issuer = "http://evil.test"
    await visitor.browser.get("/connect")
    assert "does not say who it is" in await visitor.page()


async def test_it_chats_through_the_proxy_with_its_token(visitor: Visitor) -> None:
    await visitor.connected()
    answer = await visitor.say_hello()
    assert "Hello there" in answer.text
    expected = {"model": "sandbox-chat", "messages": HELLO, "stream": True}
    assert visitor.broker.calls == [("Bearer at-1", expected)]


async def test_a_refusal_of_the_broker_is_passed_on_in_its_words(visitor: Visitor) -> None:
    await visitor.connected()
    visitor.broker.proxy_answer = refusal(402, "This app has used up its spending limit.")
    answer = await visitor.say_hello()
    assert (answer.status_code, answer.json()["error"]["message"]) == (402, "This app has used up its spending limit.")


async def test_a_refusal_without_words_is_told_as_such(visitor: Visitor) -> None:
    await visitor.connected()
    visitor.broker.proxy_answer = Response("<h1>Bad gateway</h1>", 502)
    answer = await visitor.say_hello()
    assert (answer.status_code, answer.json()["error"]["message"]) == (502, "The broker refused, and did not say why.")


async def test_an_old_token_is_refreshed_before_the_call(visitor: Visitor) -> None:
    await visitor.connected()
    visitor.now[0] += 3600
    await visitor.say_hello()
    assert visitor.broker.calls[0][0] == "Bearer fresh-rt-1"


async def test_when_the_refresh_is_refused_nothing_is_called(visitor: Visitor) -> None:
    await visitor.connected()
    visitor.now[0] += 3600
    visitor.broker.refresh_is_refused = True
    answer = await visitor.say_hello()
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "This access has ended.")
    assert visitor.broker.calls == []


async def test_disconnect_gives_the_token_back(visitor: Visitor) -> None:
    await visitor.connected()
    await visitor.browser.post("/disconnect")
    assert visitor.broker.revoked == ["rt-1"]
    assert 'href="/connect"' in await visitor.page()
    assert (await visitor.say_hello()).status_code == 401


async def test_another_site_can_neither_disconnect_nor_chat(visitor: Visitor) -> None:
    await visitor.connected()
    visitor.browser.headers["sec-fetch-site"] = "cross-site"
    await visitor.browser.post("/disconnect")
    assert (await visitor.say_hello()).status_code == 400
    assert (visitor.broker.revoked, visitor.broker.calls) == ([], [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'[{"role": "system", "content": "x"}]',
        b'[{"role": "user", "content": "\\ud800"}]',
        b"[" * 60_000,
        b" " * 70_000 + b'[{"role": "user", "content": "x"}]',
    ],
    ids=["empty", "object", "nothing", "role", "half a pair", "deep", "long"],
)
async def test_what_is_no_conversation_is_not_sent(visitor: Visitor, body: bytes) -> None:
    await visitor.connected()
    assert (await visitor.browser.post("/chat", content=body)).status_code == 400
    assert visitor.broker.calls == []


async def test_what_an_app_is_told_cannot_become_markup(visitor: Visitor) -> None:
    page = await visitor.come_back(state=await visitor.connect(), error="x", error_description="<script>1</script>")
    assert "<script>1" not in page
    assert "&lt;script&gt;1" in page
