"""With a grace, a client that lost the answer may ask once more with the token before."""

import asyncio

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.settings import Settings
from broker.store.grant_tables import TokenFamily
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


async def test_the_use_of_a_token_given_in_the_grace_closes_it_too(world: World) -> None:
    """Else a thief of the first token could go on asking for as long as the lost one is not used."""
    client = await world.register()
    first = await world.tokens(client)
    await world.refresh(client, first["refresh_token"])
    world.clock.turn(1)
    again = (await world.refresh(client, first["refresh_token"])).json()
    last = (await world.refresh(client, again["refresh_token"])).json()
    world.clock.turn(1)
    assert (await world.refresh(client, first["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await world.is_live(last["access_token"])


async def test_fifty_at_once_in_the_grace_all_stay_in_one_family(world: World) -> None:
    client = await world.register()
    first = await world.tokens(client)
    answers = await asyncio.gather(*(world.refresh(client, first["refresh_token"]) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}

    async def families(tx: AsyncSession) -> int:
        return len((await tx.exec(select(TokenFamily))).all())

    assert await world.db.read(families) == 1
