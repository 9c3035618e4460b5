"""A client reads a grant of its own, and gives it back (FAPI Grant Management)."""

from base64 import b64encode
from typing import Any

import httpx
import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.ledger.limits import open_access
from broker.store import changes, grants
from broker.store.grant_tables import Access
from tests.oauth.prover import Prover
from tests.oauth.world import ISSUER, VERIFIER, Registered, World


async def ask(world: World, method: str, grant_id: str, authorization: str | None, **headers: str) -> httpx.Response:
    sent = headers if authorization is None else {"authorization": authorization, **headers}
    return await world.http.request(method, f"/oauth/grants/{grant_id}", headers=sent)


def basic(client: Registered, secret: str | None = None) -> str:
    pair = f"{client.id}:{client.secret if secret is None else secret}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def bearer(tokens: dict[str, Any]) -> str:
    return f"Bearer {tokens['access_token']}"


async def state_of(world: World, grant_id: str) -> str:
    grant = await world.db.read(lambda tx: grants.load(tx, grant_id))
    assert grant is not None
    return grant.state


async def test_a_grant_is_read_with_its_usage_and_what_is_left(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)

    async def work(tx: AsyncSession) -> None:
        await open_access(tx, (await tx.exec(select(Access))).one(), world.clock())

    await world.db.write(work)
    answer = await ask(world, "GET", tokens["grant_id"], bearer(tokens))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    expires_at = world.clock() // 1_000_000 + 86_400
    assert answer.json() == {
        "grant_id": tokens["grant_id"],
        "state": "active",
        "client_id": client.id,
        "created_at": world.clock() // 1_000_000,
        "access": [
            {
                "provider": "openai",
                "models": ["gpt-4o-mini", "gpt-4o"],
                "actions": ["chat"],
                "expires_at": expires_at,
                "budget": {
                    "limit": 2_000_000,
                    "settled": 0,
                    "held": 0,
                    "remaining": 2_000_000,
                    "overrun": 0,
                    "currency": "USD",
                    "unit": "micro",
                    "per": "grant",
                    "resets_at": None,
                },
                "requests": {"limit": None, "used": 0},
                "rate_limit": {"requests_per_minute": None, "tokens_per_minute": None, "concurrent": None},
                "max_output_tokens": None,
            }
        ],
        "authorization_details": tokens["authorization_details"],
    }


async def test_a_confidential_client_reads_it_by_its_secret_whatever_became_of_it(world: World) -> None:
    client = await world.register(public=False)
    grant_id = (await world.tokens(client))["grant_id"]
    for event, state in ((None, "active"), (GrantEvent.PAUSE, "paused"), (GrantEvent.REVOKE, "revoked")):
        if event is not None:
            await world.db.write(lambda tx, event=event: grants.move(tx, grant_id, event, world.clock()))  # type: ignore[misc]
        answer = await ask(world, "GET", grant_id, basic(client))
        assert (answer.status_code, answer.json()["state"]) == (200, state)


@pytest.mark.parametrize("public", [True, False])
async def test_a_grant_that_is_given_back_is_revoked_with_all_its_tokens(world: World, public: bool) -> None:
    client = await world.register(public=public)
    tokens = await world.tokens(client)
    before = await world.db.read(changes.count)
    answer = await ask(world, "DELETE", tokens["grant_id"], bearer(tokens) if public else basic(client))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await state_of(world, tokens["grant_id"]) == "revoked"
    assert (await world.refresh(client, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert await world.db.read(changes.count) > before, "running calls must learn of it"
    assert (await world.audited())[-1] == "grant.revoked"
    again = await ask(world, "GET", tokens["grant_id"], bearer(tokens))
    assert (again.status_code, again.json()["error"]) == (401, "invalid_token")


async def test_giving_back_twice_is_giving_back_once(world: World) -> None:
    client = await world.register(public=False)
    grant_id = (await world.tokens(client))["grant_id"]
    for _ in range(2):
        assert (await ask(world, "DELETE", grant_id, basic(client))).status_code == 204
    assert (await world.audited()).count("grant.revoked") == 1


async def test_a_paused_grant_may_be_read_and_given_back(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    await world.db.write(lambda tx: grants.move(tx, tokens["grant_id"], GrantEvent.PAUSE, world.clock()))
    assert (await ask(world, "GET", tokens["grant_id"], bearer(tokens))).json()["state"] == "paused"
    assert (await ask(world, "DELETE", tokens["grant_id"], bearer(tokens))).status_code == 204


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_unknown_and_another_clients_grants_are_not_found(world: World, method: str) -> None:
    client, thief = await world.register(public=False), await world.register(public=False)
    grant_id = (await world.tokens(client))["grant_id"]
    theirs = await world.tokens(thief)
    answers = [
        await ask(world, method, wanted, shown)
        for wanted in (grant_id, "grt_unknown")
        for shown in (basic(thief), bearer(theirs))
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    assert await state_of(world, grant_id) == "active"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_token_is_for_its_own_grant_alone(world: World, method: str) -> None:
    client = await world.register()
    first, second = await world.tokens(client), await world.tokens(client)
    assert (await ask(world, method, first["grant_id"], bearer(second))).status_code == 404
    assert await state_of(world, first["grant_id"]) == "active"


async def test_without_a_right_credential_the_answer_is_a_challenge(world: World) -> None:
    client, public = await world.register(public=False), await world.register()
    tokens = await world.tokens(client)
    grant_id = tokens["grant_id"]
    nothing = await ask(world, "GET", grant_id, None)
    assert nothing.status_code == 401
    assert nothing.headers.get_list("www-authenticate")[0] == "Bearer"
    for wrong in ("Bearer a.b.c", f"Bearer {tokens['refresh_token']}", f"DPoP {tokens['access_token']}", "Bearer"):
        answer = await ask(world, "DELETE", grant_id, wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), wrong
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    for shown in (basic(client, "wrong"), basic(public, ""), "Basic !", "Digest x"):
        answer = await ask(world, "DELETE", grant_id, shown)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), shown
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert await state_of(world, grant_id) == "active"


async def test_a_token_in_the_address_or_beside_another_is_not_looked_at(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    address = f"/oauth/grants/{tokens['grant_id']}"
    assert (await world.http.get(address, params={"access_token": tokens["access_token"]})).status_code == 401
    twice = [("authorization", bearer(tokens)), ("authorization", bearer(tokens))]
    assert (await world.http.get(address, headers=twice)).status_code == 400


async def test_a_token_that_ended_or_was_revoked_reads_nothing(world: World) -> None:
    client = await world.register()
    tokens, other = await world.tokens(client), await world.tokens(client)
    await world.revoke(client, tokens["access_token"])
    assert (await ask(world, "GET", tokens["grant_id"], bearer(tokens))).status_code == 401
    world.clock.turn(3600)
    assert (await ask(world, "GET", other["grant_id"], bearer(other))).status_code == 401


async def test_a_bound_token_needs_its_proof_each_time(world: World) -> None:
    client, prover = await world.register(), Prover()
    code, grant = await world.code(client)
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, **client.fields()}
    proof = {"dpop": prover.proof(world.clock())}
    tokens = (await world.http.post("/oauth/token", data=fields, headers=proof)).json()
    token, address = tokens["access_token"], f"{ISSUER}/oauth/grants/{grant.id}"
    right = prover.proof(world.clock(), address, "GET", token=token)
    assert (await ask(world, "GET", grant.id, f"DPoP {token}", dpop=right)).status_code == 200
    refused = [
        await ask(world, "GET", grant.id, f"DPoP {token}", dpop=right),
        await ask(world, "GET", grant.id, f"DPoP {token}"),
        await ask(world, "GET", grant.id, f"Bearer {token}"),
        await ask(
            world, "DELETE", grant.id, f"DPoP {token}", dpop=prover.proof(world.clock(), address, "GET", token=token)
        ),
        await ask(
            world, "GET", grant.id, f"DPoP {token}", dpop=Prover().proof(world.clock(), address, "GET", token=token)
        ),
    ]
    assert [answer.status_code for answer in refused] == [401] * 5
    assert all(any("DPoP" in shown for shown in answer.headers.get_list("www-authenticate")) for answer in refused)
    assert await state_of(world, grant.id) == "active"
