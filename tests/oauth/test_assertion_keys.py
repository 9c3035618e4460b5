"""By which keys an assertion is believed, and which clients may use one."""

import json
from base64 import b64encode
from typing import Any

import pytest
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.oauth.jws import ALGORITHMS
from broker.store.tables import Client
from tests.oauth.published import PublishedWeb
from tests.oauth.signing_client import KEY, OTHER, SigningClient, is_refused, key_set, pushes, signing_client
from tests.oauth.test_jws import KEY_FOR, RSA, public, sign
from tests.oauth.world import CALLBACK, ISSUER, World, ask


@pytest.mark.parametrize("name", ALGORITHMS)
async def test_each_announced_algorithm_is_taken(world: World, name: str) -> None:
    client = await signing_client(world, KEY_FOR[name])
    client.algorithm = name
    assert (await pushes(world, client)).status_code == 201
    metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    assert name in metadata["token_endpoint_auth_signing_alg_values_supported"]


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": public(OTHER)},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["AAAA"]},
        {"typ": "at+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": 1},
        {"crit": ["exp"]},
        {"kid": "unknown"},
        {"kid": 1},
    ],
    ids=lambda header: next(iter(header)) + str(next(iter(header.values())))[:10],
)
async def test_a_header_that_would_choose_the_key_or_the_meaning_is_refused(
    world: World, header: dict[str, Any]
) -> None:
    client = await signing_client(world)
    client.header.update(header)
    assert is_refused(await pushes(world, client))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "client-authentication+jwt"])
async def test_the_usual_types_are_taken(world: World, kind: str) -> None:
    client = await signing_client(world)
    client.header["typ"] = kind
    assert (await pushes(world, client)).status_code == 201


async def test_what_a_library_signs_is_taken_as_it_comes(world: World) -> None:
    """Authlib names an end that is an hour away, and the token endpoint wherever it asks."""
    client = await signing_client(world, RSA)
    client.algorithm = "RS256"
    moment = world.clock() // 1_000_000
    text = private_key_jwt_sign(RSA, client.id, f"{ISSUER}/oauth/token", issued_at=moment)
    assert (await pushes(world, client, client_assertion=text)).status_code == 201


async def test_a_signature_by_another_key_is_refused(world: World) -> None:
    client = await signing_client(world)
    client.key, client.header["kid"] = OTHER, KEY.thumbprint()
    assert is_refused(await pushes(world, client))


async def test_without_a_name_each_fitting_key_is_tried_and_with_one_only_that(world: World) -> None:
    client = await signing_client(world, OTHER, RSA, KEY)
    client.key, client.header["kid"] = KEY, None
    assert (await pushes(world, client)).status_code == 201
    client.header["kid"] = OTHER.thumbprint()
    assert is_refused(await pushes(world, client))


async def test_a_secret_that_everyone_can_read_signs_nothing(world: World) -> None:
    """RFC 8725 §2.1: the public key taken for a shared secret, or no signature at all."""
    client = await signing_client(world)
    for algorithm in ("none", "HS256"):
        forged = sign(KEY, {"alg": "ES256", "kid": KEY.thumbprint()}).split(".")
        forged[0] = b64encode(f'{{"alg":"{algorithm}"}}'.encode()).rstrip(b"=").decode()
        for text in (".".join(forged), f"{forged[0]}.{forged[1]}."):
            assert is_refused(await pushes(world, client, client_assertion=text))


async def test_client_id_may_stand_beside_it_and_must_be_the_same(world: World) -> None:
    client, other = await signing_client(world), await signing_client(world)
    assert (await pushes(world, client, client_id=client.id)).status_code == 201
    assert is_refused(await pushes(world, client, client_id=other.id))


async def test_another_kind_of_assertion_is_not_supported(world: World) -> None:
    client = await signing_client(world)
    answer = await pushes(
        world, client, client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_two_ways_at_once_are_refused(world: World) -> None:
    client = await signing_client(world)
    answer = await pushes(world, client, client_secret="x")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    header = {"authorization": "Basic " + b64encode(f"{client.id}:x".encode()).decode()}
    answer = await world.http.post("/oauth/par", data=ask(client) | client.fields(), headers=header)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_nobody_uses_another_method_than_the_registered_one(world: World) -> None:
    signing = await signing_client(world)
    assert is_refused(await world.http.post("/oauth/par", data=ask(signing)))
    assert is_refused(await world.http.post("/oauth/par", data=ask(signing) | {"client_secret": "nobody's secret"}))
    for public_one in (True, False):
        other = await world.register(public=public_one)
        posing = SigningClient(other.id, None, world.clock)
        assert is_refused(await pushes(world, posing))
    assert is_refused(await pushes(world, SigningClient("cli_unknown", None, world.clock)))


async def test_the_one_algorithm_that_a_registration_names_is_taken_alone(world: World) -> None:
    client = await signing_client(world, RSA)

    async def name_it(tx: AsyncSession) -> None:
        row = await tx.get(Client, client.id)
        assert row is not None
        row.registered = '{"token_endpoint_auth_signing_alg":"PS256"}'

    await world.db.write(name_it)
    for algorithm, status in (("RS256", 401), ("PS256", 201)):
        client.algorithm = algorithm
        assert (await pushes(world, client)).status_code == status


async def test_keys_are_read_where_a_client_publishes_them(world: World, web: PublishedWeb) -> None:
    address = "https://notes.example/keys"
    client = await signing_client(world, jwks="", jwks_uri=address)
    assert is_refused(await pushes(world, client))
    world.clock.turn(10)
    web.publish(address, json.loads(key_set(OTHER, KEY)))
    assert (await pushes(world, client)).status_code == 201
    assert (await world.revoke(client, "unknown")).status_code == 200
    assert web.asked == [address] * 2


async def test_a_client_named_by_its_document_signs_with_the_keys_it_publishes(world: World, web: PublishedWeb) -> None:
    client = SigningClient("https://notes.example/client.json", None, world.clock)
    document = {
        "client_id": client.id,
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": json.loads(key_set(KEY)),
    }
    web.publish(client.id, document)
    assert (await pushes(world, client)).status_code == 201
    assert is_refused(await world.http.post("/oauth/par", data=ask(client)))
    client.key, client.header["kid"] = OTHER, KEY.thumbprint()
    assert is_refused(await pushes(world, client))


async def test_keys_that_are_private_broken_or_for_nothing_here_cannot_be_registered(world: World) -> None:
    private = f'{{"keys":[{{"kty":"EC","crv":"P-256","x":"{KEY["x"]}","y":"{KEY["y"]}","d":"AAAA"}}]}}'
    for jwks in (private, '{"keys":[]}', "[]", "{", '{"keys":[{"kty":"oct","k":"AAAA"}]}', " " * 70_000):
        with pytest.raises(Exception, match="The keys are refused"):
            await signing_client(world, jwks=jwks)
    with pytest.raises(Exception, match="not both"):
        await signing_client(world, jwks=key_set(KEY), jwks_uri="https://notes.example/keys")
    with pytest.raises(Exception, match="https"):
        await signing_client(world, jwks="", jwks_uri="http://notes.example/keys")
