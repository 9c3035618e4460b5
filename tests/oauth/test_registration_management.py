"""A client that registered itself looks after its registration (RFC 7592)."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.settings import Settings
from tests.oauth.test_registration import APP, registered
from tests.oauth.world import CALLBACK, Registered, World, stored_client

ELSEWHERE = "https://notes.example/elsewhere"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, client_registration=True)


async def ask(world: World, method: str, told: dict[str, Any], token: str | None = None, **more: Any) -> httpx.Response:
    shown = told["registration_access_token"] if token is None else token
    headers = {"authorization": f"Bearer {shown}"}
    return await world.http.request(method, f"/oauth/register/{told['client_id']}", headers=headers, **more)


def of(told: dict[str, Any], **changes: object) -> dict[str, Any]:
    """What a client sends to replace its registration: what it was told, but for what only the server says."""
    ours = {"registration_access_token", "registration_client_uri", "client_id_issued_at", "client_secret_expires_at"}
    return {name: value for name, value in told.items() if name not in ours} | changes


async def test_a_client_reads_its_registration_without_its_secret(world: World) -> None:
    _, told = await registered(world, token_endpoint_auth_method="client_secret_basic")
    answer = await ask(world, "GET", told)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {k: v for k, v in told.items() if not k.startswith("client_secret")}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_wrong_token_and_an_unknown_client_are_answered_alike(world: World, method: str) -> None:
    _, told = await registered(world)
    _, other = await registered(world)
    operators = {"client_id": (await world.register()).id, "registration_access_token": ""}
    answers = [
        await ask(world, method, told, "reg_wrong", json=of(told)),
        await ask(world, method, told, other["registration_access_token"], json=of(told)),
        await ask(world, method, {"client_id": "cli_unknown"}, "reg_wrong", json={}),
        await ask(world, method, operators, "", json={}),
        await ask(world, method, operators, "x", json={}),
        await world.http.request(method, f"/oauth/register/{told['client_id']}"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Bearer error="invalid_token"'}


async def test_a_replacement_replaces_everything(world: World) -> None:
    client, told = await registered(world, logo_uri="https://notes.example/logo.png", dpop_bound_access_tokens=True)
    answer = await ask(
        world,
        "PUT",
        told,
        json={"client_id": client.id, "redirect_uris": [ELSEWHERE], "token_endpoint_auth_method": "none"},
    )
    assert answer.status_code == 200
    replaced = answer.json()
    assert "logo_uri" not in replaced
    assert (replaced["redirect_uris"], replaced["dpop_bound_access_tokens"]) == ([ELSEWHERE], False)
    assert replaced["registration_access_token"] == told["registration_access_token"]
    assert (await world.authorize(client)).status_code == 400
    assert (await world.authorize(client, redirect_uri=ELSEWHERE)).status_code == 303
    assert (await stored_client(world, client.id)).verified == 0
    assert "client.changed" in await world.audited()


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "cli_other"},
        {"client_id": None},
        {"client_secret": "chosen"},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"grant_types": ["client_credentials"]},
    ],
    ids=str,
)
async def test_a_replacement_that_breaks_a_rule_changes_nothing(world: World, changes: dict[str, object]) -> None:
    _, told = await registered(world)
    answer = await ask(world, "PUT", told, json=of(told, **changes))
    assert answer.status_code == 400
    assert (await ask(world, "GET", told)).json() == told


async def test_the_secret_stays_while_the_client_shows_one(world: World) -> None:
    client, told = await registered(world, token_endpoint_auth_method="client_secret_basic")
    answer = await ask(world, "PUT", told, json=of(told, token_endpoint_auth_method="client_secret_post"))
    assert answer.status_code == 200
    assert "client_secret" not in answer.json()
    assert (await world.push(client)).status_code == 201


async def test_a_client_that_needs_a_secret_now_gets_one_and_one_that_needs_none_loses_it(world: World) -> None:
    client, told = await registered(world)
    answer = await ask(world, "PUT", told, json=of(told, token_endpoint_auth_method="client_secret_post"))
    confidential = Registered(client.id, answer.json()["client_secret"])
    assert (await world.push(client)).status_code == 401
    assert (await world.push(confidential)).status_code == 201
    answer = await ask(world, "PUT", told, json=of(told, token_endpoint_auth_method="none"))
    assert "client_secret" not in answer.json()
    assert (await world.push(confidential)).status_code == 401
    assert (await world.push(client)).status_code == 201


async def test_a_removed_client_is_gone_for_good_with_its_tokens(world: World) -> None:
    client, told = await registered(world)
    tokens = await world.tokens(client)
    answer = await ask(world, "DELETE", told)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await world.authorize(client)).status_code == 400
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 401
    for method in ("GET", "PUT", "DELETE"):
        assert (await ask(world, method, told, json=of(told))).status_code == 401
    assert (await stored_client(world, client.id)).removed_at == world.clock()
    assert "client.removed" in await world.audited()


async def test_an_expired_client_is_as_unknown_as_none(world: World) -> None:
    _, told = await registered(world)
    world.clock.turn(31 * 86_400)
    assert (await ask(world, "GET", told)).status_code == 401


async def test_one_clients_token_does_not_reach_another(world: World) -> None:
    _, one = await registered(world)
    _, two = await registered(world)
    answer = await ask(world, "PUT", two, one["registration_access_token"], json=of(two, redirect_uris=[ELSEWHERE]))
    assert answer.status_code == 401
    assert (await ask(world, "GET", two)).json()["redirect_uris"] == [CALLBACK] == APP["redirect_uris"]
