"""Clients that register themselves (RFC 7591)."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY, MINUTE
from broker.core.handle import digest
from broker.oauth.grant_types import DEVICE_CODE
from broker.settings import Settings
from broker.store import clients, grant_requests
from tests.oauth.published import PublishedWeb
from tests.oauth.world import CALLBACK, ISSUER, Registered, World, sent_back, stored_client

APP = {"client_name": "Acme Notes", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, client_registration=True, client_registrations_address=4, most_unused_clients=3)


async def registered(world: World, **members: object) -> tuple[Registered, dict[str, Any]]:
    answer = await world.http.post("/oauth/register", json=APP | members)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return Registered(told["client_id"], told.get("client_secret")), told


async def refused(world: World, **request: Any) -> httpx.Response:
    answer = await world.http.post("/oauth/register", **request)
    assert answer.headers["cache-control"] == "no-store"
    return answer


async def test_a_public_client_gets_what_it_registered_and_no_secret(world: World) -> None:
    client, told = await registered(world)
    assert told == {
        "client_id": client.id,
        "client_id_issued_at": world.clock() // 1_000_000,
        "client_name": "Acme Notes",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "authorization_details_types": ["ai_model_access", "llm-inference"],
        "require_pushed_authorization_requests": False,
        "dpop_bound_access_tokens": False,
        "registration_client_uri": f"{ISSUER}/oauth/register/{client.id}",
        "registration_access_token": told["registration_access_token"],
    }


async def test_it_is_unverified_whatever_it_calls_itself(world: World) -> None:
    client, _ = await registered(world, client_name="Broker", verified=True, source="operator", fapi2=True)
    row = await stored_client(world, client.id)
    assert (row.verified, row.source, row.public, row.fapi2) == (0, "registration", 1, 0)
    assert "client.added" in await world.audited()


async def test_two_clients_of_the_same_name_are_two(world: World) -> None:
    one, _ = await registered(world)
    two, _ = await registered(world)
    assert one.id != two.id


async def test_a_secret_and_a_registration_token_are_stored_as_digests(world: World) -> None:
    client, told = await registered(world, token_endpoint_auth_method="client_secret_post")
    assert told["client_secret_expires_at"] == 0
    row = await stored_client(world, client.id)
    assert row.secret_digest == digest(told["client_secret"])
    assert row.registration_digest == digest(told["registration_access_token"])


@pytest.mark.parametrize("method", ["none", "client_secret_post"])
async def test_a_client_that_registered_itself_goes_the_whole_way(world: World, method: str) -> None:
    client, _ = await registered(world, token_endpoint_auth_method=method)
    tokens = await world.tokens(client)
    assert await world.is_live(tokens["access_token"])
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_a_client_is_held_to_the_grant_types_it_registered(world: World) -> None:
    client, _ = await registered(world, grant_types=[DEVICE_CODE])
    for answer in (await world.refresh(client, "rft_none"), await world.push(client)):
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert sent_back(await world.authorize(client))["error"] == "unauthorized_client"


async def test_who_registers_for_codes_is_told_of_the_refresh_tokens_that_come_with_them(world: World) -> None:
    client, told = await registered(world, grant_types=["authorization_code"])
    assert told["grant_types"] == ["authorization_code", "refresh_token"]
    tokens = await world.tokens(client)
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [CALLBACK] * 1000}, "invalid_redirect_uri"),
        ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"jwks_uri": "https://169.254.169.254/keys"}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
    ],
)
async def test_what_breaks_a_rule_is_refused_and_nothing_is_stored(
    world: World, members: dict[str, object], error: str
) -> None:
    answer = await refused(world, json=APP | members)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert await world.db.read(clients.all_live) == []


async def test_nothing_that_a_client_names_is_fetched(world: World, web: PublishedWeb) -> None:
    """What is registered may name addresses inside of our network; a key set is asked for when it is needed."""
    await registered(
        world,
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri="https://notes.example/jwks",
        logo_uri="https://notes.example/logo.png",
        policy_uri="https://notes.example/policy",
        software_statement="eyJhbGciOiJub25lIn0.e30.",
    )
    assert web.asked == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b'{"a":1,"a":2}', b"\xff", b"[" * 1000, b'{"a":NaN}'])
async def test_a_body_that_is_no_object_is_refused(world: World, body: bytes) -> None:
    answer = await refused(world, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_a_body_of_another_kind_or_size_is_refused(world: World) -> None:
    assert (await refused(world, data={"client_name": "x"})).status_code == 400
    assert (await refused(world, json=APP | {"x": "x" * 1_000_000})).status_code == 413


async def test_an_address_registers_only_so_many_in_a_quarter_of_an_hour(world: World) -> None:
    for _ in range(3):
        await registered(world)
    assert (await refused(world, json=APP)).status_code == 503  # for want of room, and counted all the same
    answer = await refused(world, json=APP)
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert 0 < int(answer.headers["retry-after"]) <= 15 * 60
    world.clock.turn(3600)
    await registered(world)


async def test_of_too_many_that_nobody_uses_the_oldest_goes_but_not_at_once(world: World) -> None:
    ids = [(await registered(world))[0].id for _ in range(3)]
    answer = await refused(world, json=APP)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    world.clock.turn(3600)
    last, _ = await registered(world)
    kept = [client.id for client in await world.db.read(clients.all_live)]
    assert len(kept) == 3
    assert set(kept) < {*ids, last.id}
    assert last.id in kept


async def test_one_that_somebody_was_asked_for_does_not_go_to_make_room(world: World) -> None:
    client, _ = await registered(world)
    await world.asked(client)
    for _ in range(3):
        await registered(world)
    world.clock.turn(3600)
    await registered(world)
    assert client.id in [each.id for each in await world.db.read(clients.all_live)]


async def test_one_that_got_no_token_in_a_month_is_unknown(world: World) -> None:
    client, _ = await registered(world)
    world.clock.turn(30 * 86_400 - 1)
    assert (await world.authorize(client)).status_code == 303
    world.clock.turn(1)
    assert (await world.authorize(client)).status_code == 400
    assert (await world.push(client)).status_code == 401


async def test_one_that_is_used_lives_on_until_a_year_after(world: World) -> None:
    client, _ = await registered(world)
    await world.tokens(client)
    world.clock.turn(364 * 86_400)
    assert (await world.authorize(client)).status_code == 303
    world.clock.turn(2 * 86_400)
    assert (await world.authorize(client)).status_code == 400


async def test_those_that_expired_leave_the_database_when_another_comes(world: World) -> None:
    client, _ = await registered(world)
    world.clock.turn(31 * 86_400)
    await registered(world)
    assert client.id not in [each.id for each in await world.db.read(clients.all_live)]


async def test_use_is_noted_to_the_day(world: World) -> None:
    client, _ = await registered(world)

    async def used_at() -> int | None:
        return (await stored_client(world, client.id)).used_at

    assert await used_at() is None
    await world.tokens(client)
    first = await used_at()
    assert first == world.clock()
    world.clock.turn(MINUTE // 1_000_000)
    await world.tokens(client)
    assert await used_at() == first
    world.clock.turn(DAY // 1_000_000)
    await world.tokens(client)
    assert await used_at() == world.clock()


async def test_an_operators_client_never_expires(world: World) -> None:
    client = await world.register()
    world.clock.turn(10 * 365 * 86_400)

    async def make_room(tx: AsyncSession) -> bool:
        return await clients.make_room(tx, "registration", old=world.clock(), ripe=world.clock(), most=1)

    assert await world.db.write(make_room)
    assert (await world.authorize(client)).status_code == 303


async def test_one_that_went_by_itself_leaves_the_database_when_another_comes(world: World) -> None:
    client, told = await registered(world)
    token = {"authorization": f"Bearer {told['registration_access_token']}"}
    assert (await world.http.delete(f"/oauth/register/{client.id}", headers=token)).status_code == 204
    await registered(world)
    assert await world.db.read(lambda tx: clients.load_any(tx, client.id)) is None


async def test_what_one_app_was_given_another_of_its_name_is_asked_for_again(world: World) -> None:
    one, _ = await registered(world)
    two, _ = await registered(world)
    tokens = await world.tokens(one)
    request_id = await world.asked(two)
    request = await world.db.read(lambda tx: grant_requests.load(tx, request_id))
    assert request is not None
    assert (request.state, request.grant_id) == ("pending", None)
    assert (await world.refresh(two, tokens["refresh_token"])).json()["error"] == "invalid_grant"
