"""Tokens bound to the key that a client proves: at the token endpoint, at PAR, by dpop_jkt, and when they are renewed."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.oauth.clients import Safeguards
from broker.oauth.grant_types import DEVICE_CODE
from broker.settings import Settings
from broker.store.grant_tables import AccessToken, Grant
from tests.oauth import devices
from tests.oauth.prover import PAR, TOKEN, Prover
from tests.oauth.world import VERIFIER, Registered, World, ask, present, sent_back

ONE, OTHER = Prover(), Prover()
BOUND = Safeguards(dpop_bound=True)


async def post(world: World, path: str, fields: dict[str, str | None], *proofs: str) -> httpx.Response:
    headers = [("dpop", one) for one in proofs]
    return await world.http.post(path, data=present(fields), headers=headers)


async def exchange(world: World, client: Registered, code: str, *proofs: str) -> httpx.Response:
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, **client.fields()}
    return await post(world, "/oauth/token", dict(fields), *proofs)


async def refresh(world: World, client: Registered, token: str, *proofs: str) -> httpx.Response:
    fields = {"grant_type": "refresh_token", "refresh_token": token, **client.fields()}
    return await post(world, "/oauth/token", dict(fields), *proofs)


async def push(world: World, client: Registered, *proofs: str, **changes: str | None) -> httpx.Response:
    return await post(world, "/oauth/par", {**ask(client, **changes), **client.fields()}, *proofs)


def proof(world: World, by: Prover = ONE, uri: str = TOKEN, **claims: Any) -> str:
    return by.proof(world.clock(), uri, **claims)


async def bound_tokens(world: World, client: Registered) -> dict[str, Any]:
    code, _ = await world.code(client)
    answer = await exchange(world, client, code, proof(world))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 400
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["error"])


async def test_a_proof_at_the_exchange_binds_the_token_and_its_row(world: World) -> None:
    body = await bound_tokens(world, await world.register())
    assert body["token_type"] == "DPoP"
    claims = world.signer.verify_access_token(body["access_token"], world.clock())
    assert claims.jkt == ONE.jkt

    row = await world.db.read(lambda tx: tx.get(AccessToken, claims.jti))
    assert row is not None
    assert row.dpop_jkt == ONE.jkt


async def test_without_a_proof_nothing_is_bound_and_nothing_is_said_of_it(world: World) -> None:
    answer = await world.exchange(client := await world.register(), (await world.code(client))[0])
    assert answer.json()["token_type"] == "Bearer"
    assert "dpop-nonce" not in answer.headers
    assert world.signer.verify_access_token(answer.json()["access_token"], world.clock()).jkt == ""


@pytest.mark.parametrize(
    "claims", [{"htm": "GET"}, {"htu": PAR}, {"iat": 1}, {"jti": ""}, {"header": {"typ": "JWT"}}], ids=str
)
async def test_a_proof_that_is_not_right_is_refused_and_leaves_the_code_usable(
    world: World, claims: dict[str, Any]
) -> None:
    client = await world.register()
    code, _ = await world.code(client)
    assert refused(await exchange(world, client, code, proof(world, **claims))) == "invalid_dpop_proof"
    assert refused(await exchange(world, client, code, proof(world), proof(world))) == "invalid_dpop_proof"
    assert (await exchange(world, client, code, proof(world))).status_code == 200


async def test_x01_a_proof_is_taken_once(world: World) -> None:
    client = await world.register(public=False)
    tokens, shown = await bound_tokens(world, client), proof(world)
    assert (await refresh(world, client, tokens["refresh_token"], shown)).status_code == 200
    assert refused(await refresh(world, client, tokens["refresh_token"], shown)) == "invalid_dpop_proof"
    world.clock.turn(59)
    assert refused(await refresh(world, client, tokens["refresh_token"], shown)) == "invalid_dpop_proof"
    assert (await world.audited()).count("proof.replayed") == 2


async def test_x01_of_a_proof_shown_many_times_at_once_one_is_taken(world: World) -> None:
    client = await world.register(public=False)
    tokens, shown = await bound_tokens(world, client), proof(world)
    answers = await asyncio.gather(*(refresh(world, client, tokens["refresh_token"], shown) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19


async def test_a_proof_is_not_used_up_by_a_request_that_is_refused(world: World) -> None:
    client = await world.register()
    (code, _), shown = await world.code(client), proof(world)
    assert refused(await exchange(world, client, "cod_unknown", shown)) == "invalid_grant"
    assert (await exchange(world, client, code, shown)).status_code == 200


class TestClientsWhoseTokensMustBeBound:
    async def test_they_get_none_without_a_proof(self, world: World) -> None:
        client = await world.register(safeguards=BOUND)
        code, _ = await world.code(client)
        assert refused(await world.exchange(client, code)) == "invalid_dpop_proof"
        assert (await exchange(world, client, code, proof(world))).json()["token_type"] == "DPoP"

    @pytest.mark.parametrize("public", [True, False])
    async def test_they_renew_none_without_a_proof(self, world: World, public: bool) -> None:
        client = await world.register(public=public, safeguards=BOUND)
        tokens = await bound_tokens(world, client)
        assert refused(await world.refresh(client, tokens["refresh_token"])) == "invalid_grant"
        assert (await refresh(world, client, tokens["refresh_token"], proof(world))).status_code == 200


class TestCodesBoundToAKey:
    @pytest.mark.parametrize("by", ["header", "dpop_jkt", "both"])
    async def test_a_pushed_request_binds_its_code(self, world: World, by: str) -> None:
        client = await world.register()
        proofs = () if by == "dpop_jkt" else (proof(world, uri=PAR),)
        pushed = await push(world, client, *proofs, dpop_jkt=None if by == "header" else ONE.jkt)
        assert pushed.status_code == 201, pushed.text
        sent = {"client_id": client.id, "request_uri": pushed.json()["request_uri"]}
        answer = await world.http.get("/oauth/authorize", params=sent)
        await self.only_one_key_gets_tokens(world, client, answer)

    async def test_a_plain_request_binds_its_code(self, world: World) -> None:
        client = await world.register()
        await self.only_one_key_gets_tokens(world, client, await world.authorize(client, dpop_jkt=ONE.jkt))

    async def only_one_key_gets_tokens(self, world: World, client: Registered, answer: httpx.Response) -> None:
        assert answer.status_code == 303
        code, _ = await world.approve(answer.headers["location"].rpartition("/")[2])
        assert refused(await world.exchange(client, code)) == "invalid_grant"
        assert refused(await exchange(world, client, code, proof(world, OTHER))) == "invalid_grant"
        assert (await exchange(world, client, code, proof(world))).json()["token_type"] == "DPoP"

    async def test_a_header_and_a_parameter_that_differ_are_refused(self, world: World) -> None:
        client = await world.register()
        answer = await push(world, client, proof(world, uri=PAR), dpop_jkt=OTHER.jkt)
        assert refused(answer) == "invalid_request"

    async def test_a_proof_made_for_the_token_endpoint_pushes_nothing(self, world: World) -> None:
        client = await world.register()
        assert refused(await push(world, client, proof(world))) == "invalid_dpop_proof"

    async def test_a_proof_pushes_once(self, world: World) -> None:
        client, shown = await world.register(), proof(world, uri=PAR)
        assert (await push(world, client, shown)).status_code == 201
        assert refused(await push(world, client, shown)) == "invalid_dpop_proof"

    @pytest.mark.parametrize("jkt", ["x", "a" * 44, "a" * 42 + "="])
    async def test_what_is_no_thumbprint_is_refused(self, world: World, jkt: str) -> None:
        client = await world.register()
        assert refused(await push(world, client, dpop_jkt=jkt)) == "invalid_request"
        assert sent_back(await world.authorize(client, dpop_jkt=jkt))["error"] == "invalid_request"


class TestRefreshTokens:
    async def test_x11_a_public_client_renews_with_its_own_key_alone(self, world: World) -> None:
        client = await world.register()
        token = (await bound_tokens(world, client))["refresh_token"]
        assert refused(await refresh(world, client, token, proof(world, OTHER))) == "invalid_grant"
        assert refused(await world.refresh(client, token)) == "invalid_grant"
        renewed = await refresh(world, client, token, proof(world))
        assert renewed.json()["token_type"] == "DPoP"
        again = await refresh(world, client, renewed.json()["refresh_token"], proof(world, OTHER))
        assert refused(again) == "invalid_grant"

    async def test_a_confidential_client_may_change_its_key(self, world: World) -> None:
        """RFC 9449 §5: its refresh tokens are bound to it by its authentication."""
        client = await world.register(public=False)
        token = (await bound_tokens(world, client))["refresh_token"]
        renewed = await refresh(world, client, token, proof(world, OTHER))
        claims = world.signer.verify_access_token(renewed.json()["access_token"], world.clock())
        assert claims.jkt == OTHER.jkt

    async def test_the_first_key_that_a_public_client_proves_binds_its_refresh_tokens(self, world: World) -> None:
        client = await world.register()
        token = (await world.tokens(client))["refresh_token"]
        renewed = (await refresh(world, client, token, proof(world))).json()
        assert renewed["token_type"] == "DPoP"
        assert refused(await world.refresh(client, renewed["refresh_token"])) == "invalid_grant"
        assert refused(await refresh(world, client, renewed["refresh_token"], proof(world, OTHER))) == "invalid_grant"
        assert (await refresh(world, client, renewed["refresh_token"], proof(world))).status_code == 200

    async def test_a_stolen_token_shown_without_its_key_does_not_end_the_family(self, world: World) -> None:
        client = await world.register()
        first = (await bound_tokens(world, client))["refresh_token"]
        second = (await refresh(world, client, first, proof(world))).json()
        assert refused(await refresh(world, client, second["refresh_token"], proof(world, OTHER))) == "invalid_grant"
        assert await world.is_live(second["access_token"])


async def test_a_grant_whose_person_wants_bound_tokens_gives_no_others(world: World) -> None:
    client = await world.register()
    code, grant = await world.code(client)
    other_code, _ = await world.code(client)
    await wants_bound_tokens(world, grant.id)
    assert refused(await world.exchange(client, code)) == "invalid_dpop_proof"
    assert (await exchange(world, client, code, proof(world))).json()["token_type"] == "DPoP"
    assert (await world.exchange(client, other_code)).json()["token_type"] == "Bearer"


async def test_it_gives_no_others_at_a_refresh_either(world: World) -> None:
    client = await world.register()
    code, grant = await world.code(client)
    token = (await world.exchange(client, code)).json()["refresh_token"]
    await wants_bound_tokens(world, grant.id)
    assert refused(await world.refresh(client, token)) == "invalid_grant"
    assert (await refresh(world, client, token, proof(world))).json()["token_type"] == "DPoP"


async def wants_bound_tokens(world: World, grant_id: str) -> None:
    async def work(tx: AsyncSession) -> None:
        grant = await tx.get(Grant, grant_id)
        assert grant is not None
        grant.dpop_required = 1

    await world.db.write(work)


class TestWithNonces:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"dpop_nonce": True})

    async def test_x08_a_proof_without_a_fresh_nonce_is_told_one(self, world: World) -> None:
        client = await world.register()
        code, _ = await world.code(client)
        told = await exchange(world, client, code, proof(world))
        assert refused(told) == "use_dpop_nonce"
        nonce = told.headers["dpop-nonce"]
        foreign = await exchange(world, client, code, proof(world, nonce="of another server"))
        assert (refused(foreign), foreign.headers["dpop-nonce"]) == ("use_dpop_nonce", nonce)
        taken = await exchange(world, client, code, proof(world, nonce=nonce))
        assert (taken.status_code, taken.headers["dpop-nonce"]) == (200, nonce)

    async def test_x08_a_stale_nonce_is_replaced(self, world: World) -> None:
        client = await world.register()
        nonce = (await push(world, client, proof(world, uri=PAR))).headers["dpop-nonce"]
        world.clock.turn(120)
        stale = await push(world, client, proof(world, uri=PAR, nonce=nonce))
        assert refused(stale) == "use_dpop_nonce"
        fresh = stale.headers["dpop-nonce"]
        assert (await push(world, client, proof(world, uri=PAR, nonce=fresh))).status_code == 201

    async def test_a_client_that_proves_nothing_hears_nothing_of_it(self, world: World) -> None:
        client = await world.register()
        answer = await world.exchange(client, (await world.code(client))[0])
        assert (answer.status_code, "dpop-nonce" in answer.headers) == (200, False)


async def test_a_device_is_given_bound_tokens_too(world: World) -> None:
    client = await world.register(safeguards=BOUND)
    code = (await devices.waiting(world, client))["device_code"]
    fields = {"grant_type": DEVICE_CODE, "device_code": code, **client.fields()}
    shown = proof(world)
    assert refused(await post(world, "/oauth/token", dict(fields), shown)) == "authorization_pending"
    await devices.approve(world, code)
    assert refused(await post(world, "/oauth/token", dict(fields))) == "invalid_dpop_proof"
    body = (await post(world, "/oauth/token", dict(fields), shown)).json()
    assert body["token_type"] == "DPoP"
    assert refused(await refresh(world, client, body["refresh_token"], proof(world, OTHER))) == "invalid_grant"


async def test_metadata_names_what_proofs_may_be_signed_with(world: World) -> None:
    for place in ("oauth-authorization-server", "oauth-protected-resource/proxy"):
        body = (await world.http.get(f"/.well-known/{place}")).json()
        assert body["dpop_signing_alg_values_supported"] == ["ES256", "PS256", "RS256", "EdDSA", "Ed25519"]
