"""A client proves by its signature who it is (RFC 7523, OpenID Connect Core §9)."""

import asyncio
import json
from base64 import b64encode
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.oauth.jws import ALGORITHMS
from broker.store.tables import Client
from tests.oauth.published import PublishedWeb
from tests.oauth.signing_client import KEY, OTHER, SigningClient, key_set, signing_client
from tests.oauth.test_jws import KEY_FOR, RSA, public, sign
from tests.oauth.world import CALLBACK, ISSUER, World, ask

HOUR = 3600


async def pushes(world: World, client: SigningClient, **fields: str) -> httpx.Response:
    return await world.http.post("/oauth/par", data=ask(client) | client.fields() | fields)


def is_refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()) == (
        401,
        {"error": "invalid_client", "error_description": "Client authentication failed."},
    )


async def test_a_signing_client_gets_tokens_refreshes_and_revokes_with_a_new_assertion_each_time(world: World) -> None:
    client = await signing_client(world)
    tokens = await world.tokens(client)
    refreshed = await world.refresh(client, tokens["refresh_token"])
    assert refreshed.status_code == 200
    assert refreshed.json()["refresh_token"] == tokens["refresh_token"]
    assert (await world.revoke(client, tokens["access_token"])).status_code == 200
    assert not await world.is_live(tokens["access_token"])


@pytest.mark.parametrize("name", ALGORITHMS)
async def test_each_announced_algorithm_is_taken(world: World, name: str) -> None:
    client = await signing_client(world, KEY_FOR[name])
    client.algorithm = name
    assert (await pushes(world, client)).status_code == 201
    metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    assert name in metadata["token_endpoint_auth_signing_alg_values_supported"]


@pytest.mark.parametrize(
    "audience",
    [
        ISSUER,
        f"{ISSUER}/oauth/token",
        f"{ISSUER}/oauth/par",
        [ISSUER],
        ["https://elsewhere.example", f"{ISSUER}/oauth/token"],
    ],
    ids=repr,
)
async def test_it_is_for_the_issuer_or_an_endpoint(world: World, audience: Any) -> None:
    """RFC 9126 §2."""
    client = await signing_client(world)
    client.claims["aud"] = audience
    assert (await pushes(world, client)).status_code == 201


async def test_it_may_be_for_the_endpoint_that_was_called_and_no_other_one(world: World) -> None:
    client = await signing_client(world)
    client.claims["aud"] = f"{ISSUER}/oauth/revoke"
    assert (await world.revoke(client, "unknown")).status_code == 200
    assert is_refused(await pushes(world, client))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"aud": []},
        {"aud": f"{ISSUER}/"},
        {"aud": f"{ISSUER}/proxy"},
        {"aud": "https://elsewhere.example"},
        {"aud": {"0": ISSUER}},
        {"iss": None},
        {"iss": "cli_other"},
        {"sub": None},
        {"sub": "cli_other"},
        {"sub": ["cli"]},
        {"jti": None},
        {"jti": 7},
        {"jti": ""},
        {"jti": "x" * 513},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": -1},
        {"exp": 10**400},
        {"iat": "now"},
        {"iat": 0.0},
        {"nbf": [1]},
    ],
    ids=lambda claims: str(claims)[:60],
)
async def test_an_assertion_that_does_not_say_all_of_it_is_refused(world: World, claims: dict[str, Any]) -> None:
    client = await signing_client(world)
    client.claims.update(claims)
    assert is_refused(await pushes(world, client))


@pytest.mark.parametrize(
    ("issued", "ends", "taken"),
    [
        (0, 1, True),
        (0, 0, False),
        (-60, -1, False),
        (0, 300, True),
        (0, HOUR, True),
        (-299, HOUR, True),
        (-300, HOUR, False),
        (0, HOUR + 11, False),
        (0, 365 * 24 * HOUR, False),
        (None, 310, True),
        (None, 311, False),
        (10, 60, True),
        (60, 120, True),
        (61, 120, False),
    ],
)
async def test_it_can_be_shown_for_five_minutes_and_not_before_its_time(
    world: World, issued: int | None, ends: int, taken: bool
) -> None:
    """Libraries write an hour: then the instant of signing, which must be there, bounds it."""
    client = await signing_client(world)
    now = world.clock() // 1_000_000
    client.claims.update(iat=None if issued is None else now + issued, exp=now + ends)
    answer = await pushes(world, client)
    assert answer.status_code == (201 if taken else 401)


@pytest.mark.parametrize(("ahead", "taken"), [(10, True), (60, True), (61, False)])
async def test_one_that_begins_later_waits(world: World, ahead: int, taken: bool) -> None:
    client = await signing_client(world)
    client.claims["nbf"] = world.clock() // 1_000_000 + ahead
    assert (await pushes(world, client)).status_code == (201 if taken else 401)


async def test_it_is_taken_once_and_however_often_it_is_shown_at_once(world: World) -> None:
    client = await signing_client(world)
    fields = ask(client) | client.fields()
    answers = await asyncio.gather(*(world.http.post("/oauth/par", data=fields) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 9
    world.clock.turn(59)
    assert is_refused(await world.http.post("/oauth/par", data=fields))
    world.clock.turn(600)
    assert is_refused(await world.http.post("/oauth/par", data=fields))


async def test_one_with_a_far_end_is_not_taken_again_when_it_was_forgotten(world: World) -> None:
    client = await signing_client(world)
    client.claims["exp"] = world.clock() // 1_000_000 + HOUR
    fields = ask(client) | client.fields()
    assert (await world.http.post("/oauth/par", data=fields)).status_code == 201
    for _ in range(12):
        world.clock.turn(299)
        assert is_refused(await world.http.post("/oauth/par", data=fields))


async def test_two_clients_may_choose_the_same_name_for_an_assertion(world: World) -> None:
    first, second = await signing_client(world), await signing_client(world)
    first.claims["jti"] = second.claims["jti"] = "1"
    assert (await pushes(world, first)).status_code == (await pushes(world, second)).status_code == 201


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


async def test_a_name_is_spent_by_a_right_assertion_only(world: World) -> None:
    """Else whoever guesses it keeps the client from using it."""
    client = await signing_client(world)
    client.claims["jti"] = "next"
    thief = SigningClient(client.id, None, world.clock, OTHER, claims={"jti": "next"}, header={"kid": KEY.thumbprint()})
    assert is_refused(await pushes(world, thief))
    assert (await pushes(world, client)).status_code == 201


async def test_keys_that_are_private_broken_or_for_nothing_here_cannot_be_registered(world: World) -> None:
    private = f'{{"keys":[{{"kty":"EC","crv":"P-256","x":"{KEY["x"]}","y":"{KEY["y"]}","d":"AAAA"}}]}}'
    for jwks in (private, '{"keys":[]}', "[]", "{", '{"keys":[{"kty":"oct","k":"AAAA"}]}', " " * 70_000):
        with pytest.raises(Exception, match="The keys are refused"):
            await signing_client(world, jwks=jwks)
    with pytest.raises(Exception, match="not both"):
        await signing_client(world, jwks=key_set(KEY), jwks_uri="https://notes.example/keys")
    with pytest.raises(Exception, match="https"):
        await signing_client(world, jwks="", jwks_uri="http://notes.example/keys")
