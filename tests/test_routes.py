"""THE table of routes, held against the app that is built from it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from broker.app import App, create_app
from broker.core.usage import Price
from broker.prices.book import FREE, PriceBook
from broker.prices.packaged import Kind
from broker.providers.known import BROUGHT
from broker.providers.reach import Reach
from broker.providers.registry import Registry
from broker.routes import sellers
from broker.settings import Settings
from tests.turned_clock import NOON, TurnedClock

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


class _PricesOfAll(PriceBook):
    """The operator prices all models of people's own servers, besides what is packaged."""

    def find(
        self, provider: str, model: str, now: int, kind: Kind = "output", tier: str = "", *, lasts: bool = False
    ) -> Price | None:
        return FREE if provider == BROUGHT else super().find(provider, model, now, kind, tier, lasts=lasts)


def test_a_model_with_a_provider_of_its_own_is_not_found_at_peoples_servers_too() -> None:
    """Else every model of everybody would be sold by two, once one price is set for all of theirs."""
    registry, prices = Registry({}, reach=Reach()), _PricesOfAll()
    assert sellers(registry, prices, "gpt-4o-mini", NOON) == ("openai",)
    assert sellers(registry, prices, "llama3.2:1b", NOON) == (BROUGHT,)
    assert sellers(Registry({}), prices, "llama3.2:1b", NOON) == ()
