"""Details at the endpoints that take them: several objects, and only the types that a client registered."""

import json

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import Client
from tests.oauth.world import ASKED, Registered, World, narrowed, sent_back

INFERENCE = json.dumps([{"type": "llm-inference", "budget": 1}])


async def registered_for(world: World, *types: str) -> Registered:
    client = await world.register()

    async def limit(tx: AsyncSession) -> None:
        row = await tx.get(Client, client.id)
        assert row is not None
        row.details_types = json.dumps(types)

    await world.db.write(limit)
    return client


async def test_a_request_may_hold_several_objects(world: World) -> None:
    client = await world.register()
    several = [*ASKED, ASKED[0] | {"provider": "anthropic", "models": ["claude-*"], "purpose": "Compare"}]
    answer = await world.push(client, authorization_details=json.dumps(several))
    assert answer.status_code == 201


@pytest.mark.parametrize(("types", "details"), [(["llm-inference"], None), (["ai_model_access"], INFERENCE)])
async def test_a_type_that_a_client_did_not_register_is_refused(
    world: World, types: list[str], details: str | None
) -> None:
    """RFC 9396 §10."""
    client = await registered_for(world, *types)
    asked = json.dumps(ASKED) if details is None else details
    plain = await world.authorize(client, authorization_details=asked)
    assert sent_back(plain)["error"] == "invalid_authorization_details"
    pushed = await world.push(client, authorization_details=asked)
    assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_authorization_details")


async def test_a_type_that_a_client_registered_is_taken(world: World) -> None:
    client = await registered_for(world, "llm-inference", "unheard-of")
    assert (await world.push(client, authorization_details=INFERENCE)).status_code == 201


async def test_a_client_that_registered_no_type_has_all(world: World) -> None:
    client = await world.register()
    for details in (json.dumps(ASKED), INFERENCE):
        assert (await world.push(client, authorization_details=details)).status_code == 201


async def test_a_refresh_asks_in_registered_types_only(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)

    async def limit(tx: AsyncSession) -> None:
        row = await tx.get(Client, client.id)
        assert row is not None
        row.details_types = '["llm-inference"]'

    await world.db.write(limit)
    refused = await world.refresh(client, tokens["refresh_token"], authorization_details=narrowed(max_requests=1))
    assert refused.json()["error"] == "invalid_authorization_details"
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200
