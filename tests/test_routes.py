"""THE table of routes, held against the app that is built from it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from broker.app import App, create_app
from broker.settings import Settings
from tests.turned_clock import TurnedClock

ISSUER = "http://127.0.0.1:8080"
SOME_ID = "grt_AAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
async def app(tmp_path: Path, migrated: Path) -> AsyncIterator[App]:
    settings = Settings(data_dir=tmp_path, issuer=ISSUER)
    settings.database_file.write_bytes(migrated.read_bytes())
    made = await create_app(settings, clock=TurnedClock(), environ={})
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
        yield client


def _filled(path: str) -> str:
    return "/".join(SOME_ID if part.startswith("{") else part for part in path.split("/"))


async def test_what_belongs_to_a_user_is_shown_to_nobody_else(app: App, http: httpx.AsyncClient) -> None:
    asked = [(method, path) for path, method, _, who in app.routes if who in ("a user", "its user", "who answered")]
    assert len(asked) > 15
    for method, path in asked:
        answer = await http.request(method, _filled(path))
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"].startswith("/sign-in"), (method, path)


async def test_nothing_breaks_when_it_is_asked_for_without_anything(app: App, http: httpx.AsyncClient) -> None:
    for path, method, _, _ in app.routes:
        answer = await http.request(method, _filled(path))
        assert answer.status_code < 500, (method, path, answer.text)
        assert answer.headers["x-request-id"].startswith("req_")


async def test_another_method_is_refused_with_those_that_are_allowed(app: App, http: httpx.AsyncClient) -> None:
    for path in {path for path, _, _, _ in app.routes}:
        answer = await http.request("PATCH", _filled(path))
        allowed = {method for routed, method, _, _ in app.routes if routed == path}
        assert answer.status_code == 405, path
        assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == allowed, path


@pytest.mark.parametrize(
    "path", ["/nowhere", "/grants/", "/oauth", "/oauth/nowhere", "/.well-known/openid-configuration"]
)
async def test_what_is_not_in_the_table_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_the_proxy_answers_for_itself(http: httpx.AsyncClient) -> None:
    answer = await http.post("/proxy/openai/v1/chat/completions", json={})
    assert answer.status_code == 401
    assert "error=" not in answer.headers["www-authenticate"]
    assert answer.json()["error"]["code"] == "invalid_token"
