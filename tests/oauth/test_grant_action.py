"""A request may be about another grant, or about one that it names (FAPI Grant Management)."""

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.grant_tables import GrantRequest
from tests.oauth.world import Registered, World, sent_back


async def stored(world: World, request_id: str) -> GrantRequest:
    async def work(tx: AsyncSession) -> GrantRequest:
        request = await tx.get(GrantRequest, request_id)
        assert request is not None
        return request

    return await world.db.read(work)


async def granted(world: World, client: Registered) -> str:
    return str((await world.tokens(client))["grant_id"])


@pytest.mark.parametrize("action", ["merge", "replace"])
async def test_a_request_may_name_a_live_grant_of_its_client(world: World, action: str) -> None:
    client = await world.register()
    grant_id = await granted(world, client)
    request = await stored(world, await world.asked(client, grant_management_action=action, grant_id=grant_id))
    assert (request.action, request.asked_grant_id) == (action, grant_id)
    assert (await world.push(client, grant_management_action=action, grant_id=grant_id)).status_code == 201


async def test_a_request_for_another_grant_names_none(world: World) -> None:
    client = await world.register()
    request = await stored(world, await world.asked(client, grant_management_action="create"))
    assert (request.action, request.asked_grant_id) == ("create", "")
    plain = await stored(world, await world.asked(client))
    assert (plain.action, plain.asked_grant_id) == ("", "")


@pytest.mark.parametrize(
    ("action", "names"),
    [("create", True), (None, True), ("merge", False), ("replace", False), ("update", True), ("query", False)],
)
async def test_action_and_grant_must_fit(world: World, action: str | None, names: bool) -> None:
    client = await world.register()
    grant_id = await granted(world, client) if names else None
    changes = {"grant_management_action": action, "grant_id": grant_id}
    assert sent_back(await world.authorize(client, **changes))["error"] == "invalid_request"
    pushed = await world.push(client, **changes)
    assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_request")


async def test_an_unknown_grant_another_clients_and_one_that_ended_are_refused_alike(world: World) -> None:
    client, other = await world.register(), await world.register(public=False)
    theirs, revoked, expired = await granted(world, other), await granted(world, client), await granted(world, client)
    await world.end_grant(revoked)
    answers = []
    for grant_id in ("grt_unknown", theirs, revoked):
        changes = {"grant_management_action": "merge", "grant_id": grant_id}
        answers.append(sent_back(await world.authorize(client, **changes)))
        pushed = await world.push(client, **changes)
        assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_grant_id")
    world.clock.turn(86_400)
    answers.append(sent_back(await world.authorize(client, grant_management_action="replace", grant_id=expired)))
    assert [answer["error"] for answer in answers] == ["invalid_grant_id"] * 4
    assert len({answer["error_description"] for answer in answers}) == 1
