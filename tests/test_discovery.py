"""What is said of the server and what it does, held against each other on the whole app."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from broker.app import App, create_app
from broker.settings import Settings
from tests.turned_clock import TurnedClock

SERVER = "/.well-known/oauth-authorization-server"
RESOURCE = "/.well-known/oauth-protected-resource/proxy"
SWITCHES: list[dict[str, Any]] = [
    {},
    {"client_registration": True},
    {"client_documents": False, "device_grant": False, "require_pushed": True},
]

Open = Callable[..., AbstractAsyncContextManager[tuple[App, httpx.AsyncClient]]]


@pytest.fixture
def serving(tmp_path: Path, migrated: Path) -> Open:
    @asynccontextmanager
    async def start(
        issuer: str = "http://127.0.0.1:8080", **chosen: Any
    ) -> AsyncIterator[tuple[App, httpx.AsyncClient]]:
        settings = Settings(data_dir=tmp_path, issuer=issuer, **chosen)
        settings.database_file.write_bytes(migrated.read_bytes())
        app = await create_app(settings, clock=TurnedClock(), environ={})
        await app.start()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=issuer) as http:
            yield app, http
        await app.stop()

    return start


def endpoints(metadata: dict[str, Any]) -> dict[str, str]:
    return {name: address for name, address in metadata.items() if name.endswith(("_endpoint", "_uri"))}


@pytest.mark.parametrize("chosen", SWITCHES)
async def test_every_address_that_is_named_answers(serving: Open, chosen: dict[str, Any]) -> None:
    async with serving(**chosen) as (_, http):
        metadata = (await http.get(SERVER)).json()
        for name, address in endpoints(metadata).items():
            if name == "grant_management_endpoint":
                answer = await http.get(f"{address}/grt_1")
            elif name in ("jwks_uri", "authorization_endpoint"):
                answer = await http.get(address)
            else:
                answer = await http.post(address)
            assert answer.status_code in (200, 400, 401), (name, answer.status_code)


@pytest.mark.parametrize("chosen", SWITCHES)
async def test_every_endpoint_that_answers_is_named(serving: Open, chosen: dict[str, Any]) -> None:
    async with serving(**chosen) as (app, http):
        metadata = (await http.get(SERVER)).json()
        named = [address.removeprefix(metadata["issuer"]) for address in endpoints(metadata).values()]
        for path, method, _, _ in app.routes:
            if path.startswith("/oauth/") and not any(path == each or path.startswith(f"{each}/") for each in named):
                answer = await http.request(method, re.sub(r"\{\w+\}", "x", path))
                assert answer.status_code in (400, 404), (path, answer.status_code)
                assert answer.json()["error"] in ("not_found", "unsupported_grant_type", "unauthorized_client"), path


@pytest.mark.parametrize(
    "issuer",
    [
        "http://127.0.0.1:8080",
        "http://localhost:9",
        "http://[::1]:8080",
        "https://broker.example",
        "https://broker.example:8443",
        "https://Broker.Example",
        "https://xn--bcher-kva.example",
    ],
)
async def test_the_issuer_is_the_same_character_by_character(serving: Open, issuer: str) -> None:
    async with serving(issuer) as (app, http):
        raw = (await http.get(SERVER)).text
        metadata, resource = json.loads(raw), (await http.get(RESOURCE)).json()
        assert f'"issuer":"{issuer}"' in raw
        assert resource["authorization_servers"] == [issuer] == [app._parts.signer.issuer]
        assert metadata["protected_resources"] == [resource["resource"]] == [app._parts.signer.resource]
        assert all(address.startswith(f"{issuer}/") for address in endpoints(metadata).values())


@pytest.mark.parametrize("chosen", SWITCHES)
async def test_the_document_is_one_of_rfc_8414(serving: Open, chosen: dict[str, Any]) -> None:
    async with serving("https://broker.example", **chosen) as (_, http):
        answer = await http.get(SERVER)
        assert answer.headers["content-type"] == "application/json"
        metadata = answer.json()
        AuthorizationServerMetadata(metadata).validate()
        for name, value in metadata.items():
            assert value not in (None, "", []), name
            if name.endswith("_auth_signing_alg_values_supported"):
                assert "none" not in value
                assert "private_key_jwt" in metadata[name.replace("signing_alg_values", "methods")]
        assert ("device_authorization_endpoint" in metadata) == (
            "urn:ietf:params:oauth:grant-type:device_code" in metadata["grant_types_supported"]
        )


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource",
        f"{SERVER}/tenant",
        f"{SERVER}/",
        "/.well-known/oauth-protected-resource/other",
        "/schemas/other.json",
    ],
)
async def test_what_we_are_not_is_not_found_and_says_so_in_json(serving: Open, path: str) -> None:
    async with serving() as (_, http):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_a_refused_call_leads_to_the_description_of_the_resource(serving: Open) -> None:
    async with serving() as (_, http):
        answer = await http.get("/proxy/openai/v1/models")
        found = re.search(r'resource_metadata="([^"]+)"', answer.headers["www-authenticate"])
        assert found is not None
        described = (await http.get(found[1])).json()
        assert described["resource"] == "http://127.0.0.1:8080/proxy"
        assert (await http.get(f"{described['authorization_servers'][0]}{SERVER}")).status_code == 200


async def test_every_algorithm_that_is_named_is_one_that_signs_apart(serving: Open) -> None:
    async with serving(signing_algorithm="EdDSA") as (_, http):
        keys = (await http.get("/.well-known/jwks.json")).json()["keys"]
        assert {key["alg"] for key in keys} == {"EdDSA"}
        assert len({key["kid"] for key in keys}) == len(keys) == 2
        assert not any("d" in key for key in keys)
