"""A client with a document that authenticates by its signature, with keys in the document or at an address it names."""

import json
from typing import Any

import pytest

from broker.oauth.paced_fetch import A_HOST_A_MINUTE
from tests.oauth.published import PublishedWeb
from tests.oauth.signing_client import KEY, OTHER, SigningClient, is_refused, key_set, pushes
from tests.oauth.test_client_documents import URL, document
from tests.oauth.world import Registered, World

KEYS = "https://keys.notes.example/jwks"
SIGNS = {"token_endpoint_auth_method": "private_key_jwt"}


def keys(*given: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(key_set(*given))
    return told


@pytest.mark.parametrize("where", ["in the document", "at an address"])
async def test_it_goes_the_whole_way_by_its_signature(world: World, web: PublishedWeb, where: str) -> None:
    there = {"jwks_uri": KEYS} if where == "at an address" else {"jwks": keys(KEY)}
    web.publish(URL, document(**SIGNS, **there))
    web.publish(KEYS, keys(KEY))
    client = SigningClient(URL, None, world.clock)
    assert (await pushes(world, client)).status_code == 201
    tokens = await world.tokens(client)
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200
    assert is_refused(await pushes(world, SigningClient(URL, None, world.clock, OTHER)))
    assert is_refused(await world.push(Registered(URL, None)))


async def test_a_key_that_leaves_the_document_signs_no_more_once_it_is_read_again(
    world: World, web: PublishedWeb
) -> None:
    web.publish(URL, document(**SIGNS, jwks=keys(KEY)))
    before, after = SigningClient(URL, None, world.clock), SigningClient(URL, None, world.clock, OTHER)
    assert (await pushes(world, before)).status_code == 201
    web.publish(URL, document(**SIGNS, jwks=keys(OTHER)))
    assert is_refused(await pushes(world, after))
    world.clock.turn(600)
    assert is_refused(await pushes(world, before))
    assert (await pushes(world, after)).status_code == 201


async def test_many_clients_do_not_make_us_ask_one_host_for_their_keys_without_end(
    world: World, web: PublishedWeb
) -> None:
    for number in range(A_HOST_A_MINUTE + 5):
        address = f"https://h{number}.example/"
        web.publish(address, document(**SIGNS, client_id=address, jwks_uri=f"https://victim.example/{number}"))
        await world.server.authorize.find(address, asked_from=str(number))
        assert is_refused(await pushes(world, SigningClient(address, None, world.clock)))
    assert len([url for url in web.asked if url.startswith("https://victim.example/")]) == A_HOST_A_MINUTE
