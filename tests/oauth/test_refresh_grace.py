"""With a grace, a client that lost the answer may ask once more with the token before."""

import pytest

from broker.settings import Settings
from tests.oauth.world import World


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"refresh_grace_seconds": 30})


async def test_within_the_grace_the_token_before_gets_another_pair_in_its_family(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    lost = (await world.refresh(client, first["refresh_token"])).json()
    world.clock.turn(29)
    again = (await world.refresh(client, first["refresh_token"])).json()
    assert again["refresh_token"] not in (first["refresh_token"], lost["refresh_token"])
    assert (await world.refresh(client, again["refresh_token"])).status_code == 200


async def test_after_the_grace_it_is_reuse(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    second = (await world.refresh(client, first["refresh_token"])).json()
    world.clock.turn(30)
    assert (await world.refresh(client, first["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await world.is_live(second["access_token"])


async def test_the_use_of_the_successor_closes_the_grace(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    second = (await world.refresh(client, first["refresh_token"])).json()
    third = (await world.refresh(client, second["refresh_token"])).json()
    world.clock.turn(1)
    assert (await world.refresh(client, first["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await world.is_live(third["access_token"])
