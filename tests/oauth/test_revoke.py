"""A client gives tokens back (RFC 7009)."""

import pytest

from broker.store import changes
from tests.oauth.world import World


@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token", "nonsense"])
async def test_a_revoked_refresh_token_takes_its_whole_family_with_it(world: World, hint: str | None) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    before = await world.db.read(changes.count)
    answer = await world.revoke(client, tokens["refresh_token"], token_type_hint=hint)
    assert (answer.status_code, answer.content) == (200, b"")
    assert not await world.is_live(tokens["access_token"])
    assert (await world.refresh(client, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert await world.db.read(changes.count) > before, "running calls must learn of it"
    assert (await world.audited())[-1] == "token.revoked"


@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token", "nonsense"])
async def test_a_revoked_access_token_is_dead_alone(world: World, hint: str | None) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    assert (await world.revoke(client, tokens["access_token"], token_type_hint=hint)).status_code == 200
    assert not await world.is_live(tokens["access_token"])
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_an_unknown_token_is_answered_like_a_revoked_one(world: World) -> None:
    client = await world.register()
    for token in ("rft_unknown", "a.b.c", "\u00e9", "x" * 5000):
        assert (await world.revoke(client, token)).status_code == 200


async def test_another_clients_tokens_live_on(world: World) -> None:
    client, thief = await world.register(), await world.register()
    tokens = await world.tokens(client)
    for token in (tokens["refresh_token"], tokens["access_token"]):
        assert (await world.revoke(thief, token)).status_code == 200
    assert await world.is_live(tokens["access_token"])
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_a_missing_token_is_an_invalid_request(world: World) -> None:
    client = await world.register()
    assert (await world.revoke(client, "x", token=None)).json()["error"] == "invalid_request"


async def test_revoking_needs_the_clients_secret(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    refused = await world.revoke(client, tokens["refresh_token"], client_secret=None)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert await world.is_live(tokens["access_token"])


async def test_a_token_in_the_address_is_not_looked_at(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    answer = await world.http.post("/oauth/revoke", params={"token": tokens["refresh_token"]}, data=client.fields())
    assert answer.json()["error"] == "invalid_request"
    assert await world.is_live(tokens["access_token"])


async def test_a_token_is_given_back_by_a_post_alone(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    answer = await world.http.get("/oauth/revoke", params={"token": tokens["refresh_token"], **client.fields()})
    assert answer.status_code == 405
    assert await world.is_live(tokens["access_token"])
