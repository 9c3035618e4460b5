"""A client that is held to the FAPI 2.0 Security Profile: each rule, kept and broken; section numbers are the profile's."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import from_seconds
from broker.oauth.clients import BadClient, Safeguards
from broker.oauth.code import redirect_back
from broker.settings import Settings
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Client
from tests.oauth.prover import Prover
from tests.oauth.signing_client import KEY, SigningClient, key_set, signing_client
from tests.oauth.test_jws import ED, RSA, public
from tests.oauth.world import ASKED, CALLBACK, ISSUER, VERIFIER, Registered, World, sent_back

PROVER = Prover()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """One that would let other clients have more time than the profile does."""
    return Settings(data_dir=tmp_path, code_seconds=300, par_seconds=3600)


async def held(world: World, *keys: Any) -> SigningClient:
    return await signing_client(world, *keys, fapi2=True)


async def pushed_code(world: World, client: Registered) -> str:
    pushed = await world.push(client)
    assert pushed.status_code == 201, pushed.text
    fields = {"client_id": client.id, "request_uri": pushed.json()["request_uri"]}
    opened = await world.http.get("/oauth/authorize", params=fields)
    code, _ = await world.approve(opened.headers["location"].rpartition("/")[2])
    return code


async def tokens(
    world: World, client: Registered, fields: dict[str, str], prover: Prover | None = PROVER
) -> httpx.Response:
    headers = {} if prover is None else {"dpop": prover.proof(world.clock())}
    return await world.http.post("/oauth/token", data=fields | client.fields(), headers=headers)


async def exchanged(world: World, client: Registered, code: str, prover: Prover | None = PROVER) -> httpx.Response:
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    return await tokens(world, client, fields, prover)


async def test_a_client_that_keeps_every_rule_gets_bound_tokens(world: World) -> None:
    client = await held(world)
    answer = await exchanged(world, client, await pushed_code(world, client))
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"public": True}, "private_key_jwt"),
        ({"public": False}, "private_key_jwt"),
        ({"public": False, "jwks": json.dumps({"keys": [public(RSA, alg="RS256")]})}, "PS256, ES256 or EdDSA"),
        ({"public": False, "jwks": key_set(KEY), "uri": "com.notes.app:/callback"}, "https"),
        ({"public": False, "jwks": key_set(KEY), "uri": "http://localhost/callback"}, "https"),
    ],
    ids=["public", "secret", "RS256 only", "private scheme", "localhost"],
)
async def test_a_registration_that_contradicts_the_profile_is_refused(
    world: World, terms: dict[str, Any], why: str
) -> None:
    safeguards = Safeguards(jwks=terms.get("jwks", ""), fapi2=True)
    uris = (CALLBACK, terms.get("uri", CALLBACK))
    with pytest.raises(BadClient, match=why):
        await world.register(public=terms["public"], redirect_uris=uris, safeguards=safeguards)


@pytest.mark.parametrize("uri", [CALLBACK, "http://127.0.0.1/callback", "http://[::1]/callback"])
async def test_https_and_this_computer_by_its_number_are_taken(world: World, uri: str) -> None:
    """5.3.2.2: http only for native apps that use the loopback interface."""
    assert await signing_client(world, fapi2=True, redirect_uris=(uri,))


@pytest.mark.parametrize(
    ("key", "algorithm", "taken"),
    [(KEY, "ES256", True), (RSA, "PS256", True), (ED, "EdDSA", True), (ED, "Ed25519", True), (RSA, "RS256", False)],
    ids=["ES256", "PS256", "EdDSA", "Ed25519", "RS256"],
)
async def test_assertions_are_signed_with_few_algorithms(world: World, key: Any, algorithm: str, taken: bool) -> None:
    """5.4.1."""
    client = await held(world, key)
    client.algorithm = algorithm
    assert (await world.push(client)).status_code == (201 if taken else 401)


async def test_proofs_are_signed_with_few_algorithms_too(world: World) -> None:
    """5.4.1."""
    client = await held(world)
    code = await pushed_code(world, client)
    key = RSAKey.generate_key(2048)
    refused = await exchanged(world, client, code, Prover(key, "RS256"))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    assert (await exchanged(world, client, code, Prover(key, "PS256"))).status_code == 200


@pytest.mark.parametrize(
    ("audience", "taken"),
    [(ISSUER, True), ([ISSUER], False), (f"{ISSUER}/oauth/par", False), (f"{ISSUER}/oauth/token", False)],
    ids=["issuer", "array", "the endpoint", "the token endpoint"],
)
async def test_assertions_are_for_the_issuer_as_one_string(world: World, audience: Any, taken: bool) -> None:
    """5.3.2.1."""
    client = await held(world)
    client.claims["aud"] = audience
    assert (await world.push(client)).status_code == (201 if taken else 401)


@pytest.mark.parametrize(
    ("issued", "ends", "taken"), [(0, 300, True), (10, 300, True), (0, 3600, False), (61, 120, False)]
)
async def test_assertions_end_soon_and_may_begin_a_little_ahead(
    world: World, issued: int, ends: int, taken: bool
) -> None:
    """5.3.2.1: "between 0 and 10 seconds in the future"; more than 60 is refused."""
    client = await held(world)
    now = world.clock() // 1_000_000
    client.claims.update(iat=now + issued, nbf=now + issued, exp=now + ends)
    assert (await world.push(client)).status_code == (201 if taken else 401)


async def test_only_a_pushed_request_is_taken(world: World) -> None:
    """5.3.2.2: "shall reject authorization requests sent without PAR"."""
    client = await held(world)
    assert sent_back(await world.authorize(client)) == {
        "error": "invalid_request",
        "error_description": "A pushed authorization request is required.",
        "state": "s/1 &ü",
        "iss": ISSUER,
    }
    assert await pushed_code(world, client)


async def test_a_pushed_request_ends_before_ten_minutes(world: World) -> None:
    """5.3.2.2: "expires_in" of less than 600 seconds; others may have 600."""
    assert (await world.push(await held(world))).json()["expires_in"] == 599
    assert (await world.push(await world.register())).json()["expires_in"] == 600


@pytest.mark.parametrize(("seconds", "taken"), [(59, True), (60, False)])
async def test_a_code_lives_a_minute_where_others_live_longer(world: World, seconds: int, taken: bool) -> None:
    """5.3.2.2."""
    client, other = await held(world), await world.register()
    code, others = await pushed_code(world, client), await pushed_code(world, other)
    world.clock.turn(seconds)
    assert (await exchanged(world, client, code)).status_code == (200 if taken else 400)
    assert (await exchanged(world, other, others, None)).status_code == 200


async def test_every_token_is_bound_to_a_key(world: World) -> None:
    """5.3.2.1: "shall only issue sender-constrained access tokens"."""
    client = await held(world)
    code = await pushed_code(world, client)
    refused = await exchanged(world, client, code, None)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    first = (await exchanged(world, client, code)).json()
    fields = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert (await tokens(world, client, fields, None)).json()["error"] == "invalid_grant"
    assert (await tokens(world, client, fields)).json()["token_type"] == "DPoP"


async def test_refresh_tokens_stay_the_same(world: World) -> None:
    """5.3.2.1: "shall not use refresh token rotation"."""
    client = await held(world)
    first = (await exchanged(world, client, await pushed_code(world, client))).json()["refresh_token"]
    for _ in range(2):
        again = await tokens(world, client, {"grant_type": "refresh_token", "refresh_token": first})
        assert again.json()["refresh_token"] == first


async def test_a_secret_is_worth_nothing_to_a_client_that_is_held_to_it_later(world: World) -> None:
    client = await world.register(public=False)
    assert (await world.push(client)).status_code == 201

    async def hold(tx: AsyncSession) -> None:
        row = await tx.get(Client, client.id)
        assert row is not None
        row.fapi2 = 1

    await world.db.write(hold)
    assert (await world.push(client)).status_code == 401


async def test_a_device_cannot_ask_for_it(world: World) -> None:
    client = await held(world)
    fields = {"authorization_details": json.dumps(ASKED)}
    refused = await world.http.post("/oauth/device_authorization", data=fields | client.fields())
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    other = await signing_client(world)
    taken = await world.http.post("/oauth/device_authorization", data=fields | other.fields())
    assert taken.status_code == 200


def test_every_answer_names_the_issuer() -> None:
    """5.3.2.2: iss (RFC 9207)."""
    request = GrantRequest(
        id="grq_1",
        client_id="cli_1",
        redirect_uri=CALLBACK,
        code_challenge="c",
        asked="[]",
        created_at=0,
        ends_at=from_seconds(60),
    )
    assert "iss=http%3A%2F%2F127.0.0.1%3A8080" in redirect_back(request, ISSUER, error="access_denied")


async def test_a_client_that_only_wants_bound_tokens_is_held_to_nothing_else(world: World) -> None:
    """RFC 9449 §5.2."""
    client = await world.register(safeguards=Safeguards(dpop_bound=True))
    code, _ = await world.code(client)
    assert (await exchanged(world, client, code, None)).json()["error"] == "invalid_dpop_proof"
    assert (await exchanged(world, client, code)).json()["token_type"] == "DPoP"
