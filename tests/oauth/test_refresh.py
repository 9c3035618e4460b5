"""Refresh tokens: rotated for public clients, reuse found, nothing widened."""

import asyncio

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.oauth.refresh import Standing, judge
from broker.store import clients, grants
from broker.store.grant_tables import RefreshToken
from tests.oauth.world import DAY, World, narrowed


async def test_a_public_clients_refresh_token_is_replaced_each_time(world: World) -> None:
    client = await world.register(public=True)
    first = await world.tokens(client)
    second = (await world.refresh(client, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert await world.is_live(first["access_token"])
    assert await world.is_live(second["access_token"])
    assert (await world.refresh(client, second["refresh_token"])).status_code == 200


async def test_a_confidential_clients_refresh_token_stays(world: World) -> None:
    client = await world.register(public=False)
    first = await world.tokens(client)
    world.clock.turn(100)
    second = (await world.refresh(client, first["refresh_token"])).json()
    assert second["refresh_token"] == first["refresh_token"]
    assert second["refresh_token_timeout"] == first["refresh_token_timeout"] - 100
    assert (await world.refresh(client, first["refresh_token"])).status_code == 200


async def test_a_refresh_token_used_twice_revokes_its_family(world: World) -> None:
    """RFC 9700 §4.14.2."""
    client = await world.register()
    first = await world.tokens(client)
    second = (await world.refresh(client, first["refresh_token"])).json()
    world.clock.turn(1)
    reused = await world.refresh(client, first["refresh_token"])
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    assert not await world.is_live(second["access_token"])
    assert (await world.refresh(client, second["refresh_token"])).json()["error"] == "invalid_grant"
    assert "refresh_token.reused" in await world.audited()


async def test_reuse_in_one_family_leaves_another_of_the_same_client_alone(world: World) -> None:
    client = await world.register()
    stolen, other = await world.tokens(client), await world.tokens(client)
    await world.refresh(client, stolen["refresh_token"])
    world.clock.turn(1)
    await world.refresh(client, stolen["refresh_token"])
    assert await world.is_live(other["access_token"])
    assert (await world.refresh(client, other["refresh_token"])).status_code == 200


async def test_a_refresh_token_sent_fifty_times_at_once_rotates_once_and_is_no_reuse(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    answers = await asyncio.gather(*(world.refresh(client, first["refresh_token"]) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert (await world.refresh(client, won["refresh_token"])).status_code == 200


async def test_the_refresh_token_of_one_client_is_worth_nothing_to_another(world: World) -> None:
    client, thief = await world.register(), await world.register()
    tokens = await world.tokens(client)
    assert (await world.refresh(thief, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        {"models": ["gpt-4o", "o1"]},
        {"models": ["*"]},
        {"actions": ["chat", "images"]},
        {"budget": {"amount": "2.01", "currency": "USD"}},
        {"budget": {"amount": "1.00", "currency": "USD", "per": "day"}},
        {"expires_at": 1_763_760_000 + 86_401},
        {"expires_in": 86_401},
        {"identifier": "key_of_somebody_else"},
        {"unknown": 1},
    ],
)
async def test_asking_for_more_than_was_granted_is_refused_and_uses_up_nothing(
    world: World, more: dict[str, object]
) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    refused = await world.refresh(client, tokens["refresh_token"], authorization_details=narrowed(**more))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details")
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_the_granted_details_may_be_given_back_as_they_came(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    (element,) = tokens["authorization_details"]
    members = {name: value for name, value in element.items() if name not in ("type", "provider")}
    answer = await world.refresh(client, tokens["refresh_token"], authorization_details=narrowed(**members))
    assert answer.json()["authorization_details"] == [element]


async def test_a_shorter_duration_ends_the_token_sooner(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    answer = await world.refresh(client, tokens["refresh_token"], authorization_details=narrowed(expires_in=60))
    assert answer.json()["expires_in"] == 60


async def test_a_refresh_token_lives_on_when_its_grants_end_is_put_off(world: World) -> None:
    """What it answers is bounded by the grant as it stands; the token itself is not."""
    client = await world.register()
    first = await world.tokens(client, days=1)
    assert first["refresh_token_timeout"] == 86_400

    async def put_off(tx: AsyncSession) -> None:
        for row in await grants.load_accesses(tx, first["grant_id"]):
            row.ends_at += 2 * DAY

    await world.db.write(put_off)
    world.clock.turn(2 * 86_400)
    again = (await world.refresh(client, first["refresh_token"])).json()
    assert again["refresh_token_timeout"] == again["authorization_expires_in"] == 86_400


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"authorization_details": "no json"}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
    ],
)
@pytest.mark.parametrize("public", [True, False])
async def test_a_refused_request_uses_up_nothing(world: World, wrong: dict[str, str], error: str, public: bool) -> None:
    client = await world.register(public=public)
    given = await world.tokens(client)
    refused = await world.refresh(client, given["refresh_token"], **wrong)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert (await world.refresh(client, given["refresh_token"])).status_code == 200


async def test_a_narrowed_refresh_is_followed_by_a_full_one(world: World) -> None:
    """RFC 9396 §6.1: "the previous authorization is unchanged"."""
    client = await world.register()
    first = await world.tokens(client)
    less = narrowed(models=["gpt-4o"], budget={"amount": "0.01", "currency": "USD"}, max_requests=3)
    narrow = (await world.refresh(client, first["refresh_token"], authorization_details=less)).json()
    assert narrow["authorization_details"] != first["authorization_details"]
    full = (await world.refresh(client, narrow["refresh_token"])).json()
    assert full["authorization_details"] == first["authorization_details"]


async def test_a_refresh_token_has_an_end_of_its_own(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client, days=90)
    assert tokens["refresh_token_timeout"] == world.settings.refresh_token_seconds
    assert tokens["authorization_expires_in"] == 90 * 86_400
    world.clock.turn(world.settings.refresh_token_seconds)
    assert (await world.refresh(client, tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_revoking_the_grant_ends_its_refresh_tokens(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    await world.end_grant(tokens["grant_id"])
    assert (await world.refresh(client, tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_disabling_the_user_ends_refreshing(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    await world.disable_user()
    assert (await world.refresh(client, tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_removed_client_refreshes_nothing(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)

    async def remove(tx: AsyncSession) -> bool:
        return await clients.remove(tx, client.id, world.clock())

    assert await world.db.write(remove)
    refused = await world.refresh(client, tokens["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


NEWEST = RefreshToken(digest="a", family_id="f", created_at=0, ends_at=9)
ROTATED = RefreshToken(digest="a", family_id="f", created_at=0, ends_at=9, successor="b", rotated_at=100)
COMMITTING = RefreshToken(digest="a", family_id="f", created_at=0, ends_at=9, successor="b")


@pytest.mark.parametrize(
    ("token", "was_used", "arrived_at", "grace", "standing"),
    [
        (NEWEST, False, 110, 0, Standing.NEWEST),
        (ROTATED, False, 101, 0, Standing.REUSED),
        (ROTATED, False, 100, 0, Standing.LOST_RACE),
        (COMMITTING, False, 101, 0, Standing.LOST_RACE),
        (COMMITTING, True, 101, 0, Standing.REUSED),
        (ROTATED, True, 90, 0, Standing.LOST_RACE),
        (ROTATED, False, 101, 11, Standing.IN_GRACE),
        (ROTATED, False, 101, 10, Standing.REUSED),
        (ROTATED, True, 101, 60, Standing.REUSED),
        (COMMITTING, False, 101, 60, Standing.IN_GRACE),
    ],
)
def test_reuse_is_told_from_a_lost_race(
    token: RefreshToken, was_used: bool, arrived_at: int, grace: int, standing: Standing
) -> None:
    """The grace is closed when what came after was used; at the instant 110 here."""
    assert judge(token, was_used=was_used, arrived_at=arrived_at, now=110, grace=grace) is standing
