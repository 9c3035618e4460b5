"""A client acts for itself: tokens for what its operator gave it (RFC 6749 §4.4)."""

import json
from typing import Any

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.store import clients, grants
from broker.store.grant_tables import Grant
from tests.oauth.world import Registered, World, narrowed, present


async def given(world: World, client: Registered, **terms: int) -> str:
    """What `broker grant add` does."""

    async def work(tx: AsyncSession) -> Grant:
        grant = await world.grant(tx, client.id, **terms)
        grant.origin = "operator"
        return grant

    world.clock.turn(1)
    return (await world.db.write(work)).id


async def ask(world: World, client: Registered, **changes: str | None) -> httpx.Response:
    fields = {"grant_type": "client_credentials", **client.fields(), **changes}
    return await world.http.post("/oauth/token", data=present(fields))


async def refused(world: World, client: Registered, **changes: str | None) -> str:
    answer = await ask(world, client, **changes)
    assert answer.status_code in (400, 401)
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["error"])


async def test_a_client_gets_a_token_for_its_operators_grant_and_nothing_to_refresh_it(world: World) -> None:
    client = await world.register(public=False)
    grant_id = await given(world, client)
    answer = await ask(world, client)
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert body.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "authorization_expires_in",
        "authorization_details",
        "grant_id",
    }
    assert (body["grant_id"], body["token_type"], body["expires_in"]) == (grant_id, "Bearer", 3600)
    assert body["authorization_details"][0]["budget"]["amount"] == "2.00"
    assert await world.is_live(body["access_token"])
    assert (await world.audited())[-1] == "token.issued"


async def test_the_newest_of_several_is_meant_unless_one_is_named(world: World) -> None:
    client = await world.register(public=False)
    first, second = await given(world, client), await given(world, client)
    assert (await ask(world, client)).json()["grant_id"] == second
    assert (await ask(world, client, grant_id=first)).json()["grant_id"] == first
    await world.end_grant(second)
    assert (await ask(world, client)).json()["grant_id"] == first
    assert await refused(world, client, grant_id=second) == "invalid_grant"


async def test_a_token_is_narrowed_and_never_widened(world: World) -> None:
    client = await world.register(public=False)
    await given(world, client)
    less = await ask(world, client, authorization_details=narrowed(models=["gpt-4o"]))
    assert less.json()["authorization_details"][0]["models"] == ["gpt-4o"]
    more = narrowed(models=["gpt-5"])
    assert await refused(world, client, authorization_details=more) == "invalid_authorization_details"


async def test_a_public_client_cannot_act_for_itself(world: World) -> None:
    client = await world.register()
    await given(world, client)
    assert await refused(world, client) == "unauthorized_client"


async def test_a_client_must_have_registered_the_grant_type_if_it_named_any(world: World) -> None:
    client = await world.register(public=False)
    await given(world, client)

    async def work(tx: AsyncSession) -> None:
        row = await clients.load(tx, client.id)
        assert row is not None
        row.grant_types = json.dumps(["authorization_code"])

    await world.db.write(work)
    assert await refused(world, client) == "unauthorized_client"


async def test_without_its_secret_a_client_gets_nothing(world: World) -> None:
    client = await world.register(public=False)
    await given(world, client)
    assert await refused(world, client, client_secret="wrong") == "invalid_client"
    assert await refused(world, client, client_secret=None) == "invalid_client"


async def test_what_a_person_gave_is_not_the_clients_to_take(world: World) -> None:
    client = await world.register(public=False)
    consented = (await world.tokens(client))["grant_id"]
    assert await refused(world, client) == "invalid_grant"
    assert await refused(world, client, grant_id=consented) == "invalid_grant"


async def test_another_clients_grant_is_refused_like_an_unknown_one(world: World) -> None:
    client, other = await world.register(public=False), await world.register(public=False)
    await given(world, client)
    theirs = await given(world, other)
    answers = [await ask(world, client, grant_id=grant_id) for grant_id in (theirs, "grt_unknown")]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["error"] == "invalid_grant"


async def test_an_ended_grant_and_a_disabled_user_give_nothing(world: World) -> None:
    client = await world.register(public=False)
    await given(world, client)
    await world.disable_user()
    assert await refused(world, client) == "invalid_grant"


async def test_after_the_end_of_the_grant_there_is_none(world: World) -> None:
    client = await world.register(public=False)
    await given(world, client)
    world.clock.turn(86_400)
    assert await refused(world, client) == "invalid_grant"


async def test_a_paused_grant_still_gives_tokens(world: World) -> None:
    """Its calls are refused until it is resumed, as those of any token of it."""
    client = await world.register(public=False)
    grant_id = await given(world, client)
    assert await world.db.write(lambda tx: grants.move(tx, grant_id, GrantEvent.PAUSE, world.clock()))
    assert (await ask(world, client)).status_code == 200


@pytest.mark.parametrize(("name", "value"), [("scope", "chat"), ("resource", "https://elsewhere.example")])
async def test_scope_and_another_resource_are_refused(world: World, name: str, value: str) -> None:
    client = await world.register(public=False)
    await given(world, client)
    assert await refused(world, client, **{name: value}) in ("invalid_scope", "invalid_target")
