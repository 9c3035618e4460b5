"""The token endpoint under its other name, which takes the parameters as a JSON object, too."""

import json
from typing import Any

import pytest

from tests.oauth.world import World, narrowed

ALIAS = "/proxy/anthropic/v1/oauth/token"


async def refreshing(world: World) -> dict[str, Any]:
    client = await world.register(public=True)
    first = await world.tokens(client)
    return {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "client_id": client.id}


async def test_parameters_may_be_members_of_a_json_object(world: World) -> None:
    answer = await world.http.post(ALIAS, json=await refreshing(world))
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_form_is_taken_as_at_the_other_address(world: World) -> None:
    assert (await world.http.post(ALIAS, data=await refreshing(world))).status_code == 200


async def test_a_member_that_is_json_itself_may_stand_as_it_is(world: World) -> None:
    less = json.loads(narrowed(budget={"amount": "0.50", "currency": "USD"}))
    asked = await refreshing(world) | {"authorization_details": less}
    answer = await world.http.post(ALIAS, json=asked)
    assert answer.json()["authorization_details"][0]["budget"]["amount"] == "0.50"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"grant_type":"refresh_token","grant_type":"x"}',
        b'{"a":NaN}',
        b"\xff",
        b'{"grant_type":"client_credentials","client_id":"c","grant_id":"\\u0000"}',
    ],
    ids=repr,
)
async def test_what_is_no_strict_json_object_is_refused(world: World, raw: bytes) -> None:
    answer = await world.http.post(ALIAS, content=raw, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_null_is_absent(world: World) -> None:
    asked = await refreshing(world) | {"grant_type": None}
    answer = await world.http.post(ALIAS, json=asked)
    assert answer.json()["error_description"] == "grant_type is missing."


async def test_the_token_endpoint_itself_takes_forms_alone(world: World) -> None:
    answer = await world.http.post("/oauth/token", json=await refreshing(world))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
