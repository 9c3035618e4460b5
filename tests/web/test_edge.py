"""What no request passes without: a host of ours, a head in bounds, a number."""

import pytest
from starlette.types import ASGIApp

from tests.browser import Browser


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost:9", 200),
        ("[::1]:8080", 200),
        ("inner", 200),
        ("INNER:80", 200),
        ("evil.test", 421),
        ("127.0.0.1.evil.test", 421),
        ("inner@evil.test", 421),
        ("evil.test/inner", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
@pytest.mark.parametrize("path", ["/help/what-apps-see", "/proxy/openai/v1/models"])
async def test_only_our_own_hosts_are_answered(browser: Browser, host: str, status: int, path: str) -> None:
    answer = await browser.client.get(path, headers={"host": host})
    assert answer.status_code == status


@pytest.mark.parametrize("path", ["/consent/%00", "/oauth/grants/grt_%00"])
async def test_an_address_with_a_nul_is_refused(browser: Browser, path: str) -> None:
    assert (await browser.client.get(path)).status_code == 400


async def test_two_hosts_are_none(browser: Browser) -> None:
    answer = await browser.client.get("/sign-in", headers=[("host", "inner"), ("host", "evil.test")])
    assert answer.status_code == 421


async def test_a_probe_may_ask_by_any_name(browser: Browser) -> None:
    answer = await browser.client.get("/health/live", headers={"host": "10.1.2.3"})
    assert answer.status_code != 421


async def test_each_answer_has_its_number(browser: Browser) -> None:
    first, second = [await browser.client.get("/sign-in") for _ in range(2)]
    assert first.headers["x-request-id"] == first.headers["request-id"] != second.headers["request-id"]
    assert first.headers["x-request-id"].startswith("req_")


async def test_answers_of_the_proxy_are_its_own(browser: Browser) -> None:
    answer = await browser.client.get("/proxy/openai/v1/models")
    assert "x-request-id" not in answer.headers
    assert "x-content-type-options" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("x", "y" * 20_000)], 431),
        ([("x", "y")] * 101, 431),
        ([("content-length", "3"), ("transfer-encoding", "chunked")], 400),
    ],
)
async def test_a_head_out_of_bounds_is_refused(browser: Browser, headers: list[tuple[str, str]], status: int) -> None:
    answer = await browser.client.get("/sign-in", headers=headers)
    assert answer.status_code == status
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW"])
async def test_unknown_methods_are_refused(browser: Browser, method: str) -> None:
    assert (await browser.client.request(method, "/sign-in")).status_code == 501


async def test_the_lifespan_passes(app: ASGIApp) -> None:
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
