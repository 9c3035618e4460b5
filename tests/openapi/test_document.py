"""The OpenAPI document: valid, whole, and true."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from broker.app import App, create_app
from broker.openapi.forwarded import PROVIDERS, filled, paths_of
from broker.proxy.listing import model_at
from broker.proxy.pipeline import DIALECTS
from broker.settings import Settings
from tests.turned_clock import TurnedClock

ISSUER = "http://127.0.0.1:8080"


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


@pytest.fixture
async def told(http: httpx.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await http.get("/openapi.json")).json()
    return document


def operations(told: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, known in told["paths"].items() for method in known}


async def test_it_is_valid(told: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(told).iter_errors()) == []
    for schema in told["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_every_route_for_programs_is_in_it_and_nothing_else(app: App, told: dict[str, Any]) -> None:
    people = ("user", "setup code")
    pages = {"/", "/sign-in", "/help/what-apps-see", "/static/{name}"}
    routed = {(method, path) for path, method, _, who in app.routes if path not in pages and not who.endswith(people)}
    written = operations(told)
    assert {each for each in written if not each[1].startswith("/proxy/") or each in routed} == routed
    assert ("GET", "/proxy/status") in written


async def test_every_forwarded_path_is_one_of_its_dialect(told: dict[str, Any]) -> None:
    for method, path in operations(told):
        if not path.startswith("/proxy/") or path in ("/proxy/status", "/proxy/anthropic/v1/oauth/token"):
            continue
        _, _, name, rest = path.split("/", 3)
        dialect, own = DIALECTS[name], filled(f"/{rest}")
        lists = method == "GET" and (dialect.is_listing(own) or model_at(dialect, own))
        assert dialect.endpoint(method, own) or lists, (method, path)


@pytest.mark.parametrize("name", DIALECTS)
async def test_every_path_that_a_dialect_tells_of_is_one_of_its_own(name: str) -> None:
    dialect = DIALECTS[name]
    assert [path for path in dialect.paths() if not dialect.methods(filled(path))] == []


@pytest.mark.parametrize("name", sorted(PROVIDERS))
async def test_every_path_of_a_dialect_is_in_it(told: dict[str, Any], name: str) -> None:
    written = {path for _, path in operations(told)}
    assert {f"/proxy/{name}{path}" for path in paths_of(DIALECTS[name])} <= written


async def test_it_may_be_kept_and_who_has_it_is_told_so(http: httpx.AsyncClient) -> None:
    first = await http.get("/openapi.json", headers={"origin": "https://elsewhere.example"})
    assert first.headers["content-type"] == "application/json"
    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.headers["access-control-allow-origin"] == "*"
    for tag in (first.headers["etag"], f"W/{first.headers['etag']}", f'"other", {first.headers["etag"]}', "*"):
        again = await http.get("/openapi.json", headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert (await http.get("/openapi.json", headers={"if-none-match": '"other"'})).status_code == 200


async def test_its_schemas_say_of_answers_what_is_true(http: httpx.AsyncClient, told: dict[str, Any]) -> None:
    """Of those that need nobody: each documented answer without a body or a token is as the document says."""
    tried = 0
    for path, known in told["paths"].items():
        for method, operation in known.items():
            if "{" in path or path == "/oauth/authorize":
                continue
            answer = await http.request(method, path)
            said = operation["responses"].get(str(answer.status_code))
            assert said is not None, (method, path, answer.status_code)
            if not answer.content:
                continue
            kind = answer.headers["content-type"].partition(";")[0]
            assert kind in said["content"], (method, path, kind)
            schema = {**said["content"][kind]["schema"], "components": told["components"]}
            Draft202012Validator(schema).validate(answer.json() if kind.endswith("json") else answer.text)
            tried += 1
    assert tried > 20
