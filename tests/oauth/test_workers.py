"""Two workers on one database: what is used once is used once over both."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from broker.oauth.server import AuthorizationServer
from tests.oauth.asgi import as_app
from tests.oauth.signing_client import signing_client
from tests.oauth.world import CATALOGUE, ISSUER, USER_CODES, VERIFIER, World
from tests.stores import Store


@pytest.fixture
async def other(world: World, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    db = store.open()
    server = AuthorizationServer.build(
        db,
        world.clock,
        world.settings,
        world.signer,
        catalogue=CATALOGUE,
        user_codes=USER_CODES,
        is_signed_in=world.server.authorize.is_signed_in,
        registrations=world.server.registration.tries,
        proofs=world.server.token.post.proofs,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=as_app(server)), base_url=ISSUER) as http:
        yield http
    await db.close()


async def post_everywhere(world: World, other: httpx.AsyncClient, fields: dict[str, str]) -> list[httpx.Response]:
    both = (world.http, other) * 25
    return await asyncio.gather(*(http.post("/oauth/token", data=fields) for http in both))


async def test_a_code_is_exchanged_once_over_all_workers(world: World, other: httpx.AsyncClient) -> None:
    client = await world.register()
    code, _ = await world.code(client)
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, **client.fields()}
    answers = await post_everywhere(world, other, fields)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49


async def test_a_refresh_token_is_rotated_once_over_all_workers(world: World, other: httpx.AsyncClient) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    fields = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **client.fields()}
    answers = await post_everywhere(world, other, fields)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert (await world.refresh(client, won["refresh_token"])).status_code == 200


async def test_an_assertion_is_taken_once_over_all_workers(world: World, other: httpx.AsyncClient) -> None:
    client = await signing_client(world)
    fields = {"token": "unknown", **client.fields()}
    both = (world.http, other) * 10
    answers = await asyncio.gather(*(http.post("/oauth/revoke", data=fields) for http in both))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
