"""What an assertion of a client must say, and how often it is taken (RFC 7523, OpenID Connect Core §9)."""

import asyncio
from typing import Any

import pytest

from broker.store import ended
from tests.oauth.signing_client import KEY, OTHER, SigningClient, is_refused, pushes, signing_client
from tests.oauth.world import ISSUER, World, ask

HOUR = 3600


async def test_a_signing_client_gets_tokens_refreshes_and_revokes_with_a_new_assertion_each_time(world: World) -> None:
    client = await signing_client(world)
    tokens = await world.tokens(client)
    refreshed = await world.refresh(client, tokens["refresh_token"])
    assert refreshed.status_code == 200
    assert refreshed.json()["refresh_token"] == tokens["refresh_token"]
    assert (await world.revoke(client, tokens["access_token"])).status_code == 200
    assert not await world.is_live(tokens["access_token"])


@pytest.mark.parametrize(
    "audience",
    [
        ISSUER,
        f"{ISSUER}/oauth/token",
        f"{ISSUER}/oauth/par",
        [ISSUER],
        ["https://elsewhere.example", f"{ISSUER}/oauth/token"],
    ],
    ids=repr,
)
async def test_it_is_for_the_issuer_or_an_endpoint(world: World, audience: Any) -> None:
    """RFC 9126 §2."""
    client = await signing_client(world)
    client.claims["aud"] = audience
    assert (await pushes(world, client)).status_code == 201


async def test_it_may_be_for_the_endpoint_that_was_called_and_no_other_one(world: World) -> None:
    client = await signing_client(world)
    client.claims["aud"] = f"{ISSUER}/oauth/revoke"
    assert (await world.revoke(client, "unknown")).status_code == 200
    assert is_refused(await pushes(world, client))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"aud": []},
        {"aud": f"{ISSUER}/"},
        {"aud": f"{ISSUER}/proxy"},
        {"aud": "https://elsewhere.example"},
        {"aud": {"0": ISSUER}},
        {"iss": None},
        {"iss": "cli_other"},
        {"sub": None},
        {"sub": "cli_other"},
        {"sub": ["cli"]},
        {"jti": None},
        {"jti": 7},
        {"jti": ""},
        {"jti": "x" * 513},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": -1},
        {"exp": 10**400},
        {"iat": "now"},
        {"iat": 0.0},
        {"nbf": [1]},
    ],
    ids=lambda claims: str(claims)[:60],
)
async def test_an_assertion_that_does_not_say_all_of_it_is_refused(world: World, claims: dict[str, Any]) -> None:
    client = await signing_client(world)
    client.claims.update(claims)
    assert is_refused(await pushes(world, client))


@pytest.mark.parametrize(
    ("issued", "ends", "taken"),
    [
        (0, 1, True),
        (0, 0, False),
        (-60, -1, False),
        (0, 300, True),
        (0, HOUR, True),
        (-299, HOUR, True),
        (-300, HOUR, False),
        (0, HOUR + 11, False),
        (0, 365 * 24 * HOUR, False),
        (None, 310, True),
        (None, 311, False),
        (10, 60, True),
        (60, 120, True),
        (61, 120, False),
    ],
)
async def test_it_can_be_shown_for_five_minutes_and_not_before_its_time(
    world: World, issued: int | None, ends: int, taken: bool
) -> None:
    """Libraries write an hour: then the instant of signing, which must be there, bounds it."""
    client = await signing_client(world)
    now = world.clock() // 1_000_000
    client.claims.update(iat=None if issued is None else now + issued, exp=now + ends)
    answer = await pushes(world, client)
    assert answer.status_code == (201 if taken else 401)


@pytest.mark.parametrize(("ahead", "taken"), [(10, True), (60, True), (61, False)])
async def test_one_that_begins_later_waits(world: World, ahead: int, taken: bool) -> None:
    client = await signing_client(world)
    client.claims["nbf"] = world.clock() // 1_000_000 + ahead
    assert (await pushes(world, client)).status_code == (201 if taken else 401)


async def test_it_is_taken_once_and_however_often_it_is_shown_at_once(world: World) -> None:
    client = await signing_client(world)
    fields = ask(client) | client.fields()
    answers = await asyncio.gather(*(world.http.post("/oauth/par", data=fields) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 9
    world.clock.turn(59)
    assert is_refused(await world.http.post("/oauth/par", data=fields))
    world.clock.turn(600)
    assert is_refused(await world.http.post("/oauth/par", data=fields))


async def test_one_endpoint_does_not_take_what_another_has_taken(world: World) -> None:
    client = await signing_client(world)
    shown = client.fields()
    assert (await world.http.post("/oauth/par", data=ask(client) | shown)).status_code == 201
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"):
        assert is_refused(await world.http.post(path, data={"token": "x", "grant_type": "refresh_token"} | shown))


async def test_a_server_whose_clock_is_behind_takes_none_that_another_has_forgotten(world: World) -> None:
    client = await signing_client(world)
    fields = ask(client) | client.fields()
    assert (await world.http.post("/oauth/par", data=fields)).status_code == 201
    world.clock.turn(61)
    (proofs,) = (kind for kind in ended.KINDS if kind.table.name == "seen")
    assert await ended.remove(world.db, proofs, world.clock(), pause=0) == 0
    world.clock.turn(-20)
    assert is_refused(await world.http.post("/oauth/par", data=fields))


async def test_one_with_a_far_end_is_not_taken_again_when_it_was_forgotten(world: World) -> None:
    client = await signing_client(world)
    client.claims["exp"] = world.clock() // 1_000_000 + HOUR
    fields = ask(client) | client.fields()
    assert (await world.http.post("/oauth/par", data=fields)).status_code == 201
    for _ in range(12):
        world.clock.turn(299)
        assert is_refused(await world.http.post("/oauth/par", data=fields))


async def test_two_clients_may_choose_the_same_name_for_an_assertion(world: World) -> None:
    first, second = await signing_client(world), await signing_client(world)
    first.claims["jti"] = second.claims["jti"] = "1"
    assert (await pushes(world, first)).status_code == (await pushes(world, second)).status_code == 201


async def test_a_name_is_spent_by_a_right_assertion_only(world: World) -> None:
    """Else whoever guesses it keeps the client from using it."""
    client = await signing_client(world)
    client.claims["jti"] = "next"
    thief = SigningClient(client.id, None, world.clock, OTHER, claims={"jti": "next"}, header={"kid": KEY.thumbprint()})
    assert is_refused(await pushes(world, thief))
    assert (await pushes(world, client)).status_code == 201
