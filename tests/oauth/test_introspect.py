"""A client asks what one of its tokens is worth now (RFC 7662)."""

import json
from typing import Any

import httpx
import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.ledger.keys import money_key, token_scope
from broker.ledger.limits import change_limits, load, open_access
from broker.store import clients, grants
from broker.store.grant_tables import Access
from broker.store.ledger_tables import Counter
from tests.oauth.prover import Prover
from tests.oauth.world import ISSUER, Registered, World, narrowed, present


async def introspect(world: World, client: Registered, token: str | None, **changes: str | None) -> httpx.Response:
    fields = {"token": token, **client.fields(), **changes}
    return await world.http.post("/oauth/introspect", data=present(fields))


async def told(world: World, client: Registered, token: str) -> dict[str, Any]:
    answer = await introspect(world, client, token)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    body: dict[str, Any] = answer.json()
    return body


async def is_inactive(world: World, client: Registered, token: str) -> bool:
    return (await told(world, client, token)) == {"active": False}


async def access_of(tx: AsyncSession) -> Access:
    return (await tx.exec(select(Access))).one()


async def spend(world: World, amount: int, jti: str = "") -> None:
    """As if a call of this token had been settled."""

    async def work(tx: AsyncSession) -> None:
        access = await access_of(tx)
        await open_access(tx, access, world.clock())
        counter = await load(tx, money_key(access.id, "grant", world.clock()))
        assert counter is not None
        counter.settled = amount
        if jti:
            key = money_key(token_scope(jti, access.id), "grant", 0)._replace(scope_kind="token")
            tx.add(Counter(**key._asdict(), limit=1_000_000, target=1_000_000, settled=amount))

    await world.db.write(work)


async def test_an_access_token_says_what_it_is_worth_and_what_is_left(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    await spend(world, 400_000)
    body = await told(world, client, tokens["access_token"])
    claims = world.signer.verify_access_token(tokens["access_token"], world.clock())
    assert body | {"usage": [], "authorization_details": []} == {
        "active": True,
        "iss": ISSUER,
        "aud": f"{ISSUER}/proxy",
        "sub": claims.subject,
        "client_id": client.id,
        "token_type": "Bearer",
        "iat": world.clock() // 1_000_000,
        "exp": claims.expires_at,
        "jti": claims.jti,
        "grant_id": tokens["grant_id"],
        "grant_state": "active",
        "usage": [],
        "authorization_details": [],
    }
    assert body["authorization_details"] == tokens["authorization_details"]
    (left,) = body["usage"]
    assert (left["budget"]["limit"], left["budget"]["remaining"]) == (2_000_000, 1_600_000)
    assert left["requests"] == {"limit": None, "used": 0}


async def test_a_refresh_token_is_active_until_it_is_replaced(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    body = await told(world, client, tokens["refresh_token"])
    assert body.keys() == {
        *("active", "iss", "aud", "sub", "client_id", "iat", "exp"),
        *("authorization_details", "grant_id", "grant_state", "usage"),
    }
    assert (body["aud"], body["grant_id"]) == (ISSUER, tokens["grant_id"])
    assert body["exp"] == world.clock() // 1_000_000 + tokens["refresh_token_timeout"]
    world.clock.turn(86_400)
    assert await is_inactive(world, client, tokens["refresh_token"])


async def test_a_narrowed_token_says_what_is_left_of_itself(world: World) -> None:
    client = await world.register(public=False)
    code, _ = await world.code(client)
    details = narrowed(models=["gpt-4o"], budget={"amount": "1.00", "currency": "USD"})
    token = (await world.exchange(client, code, authorization_details=details)).json()["access_token"]
    await spend(world, 300_000, (await told(world, client, token))["jti"])
    body = await told(world, client, token)
    assert body["authorization_details"][0]["models"] == ["gpt-4o"]
    (left,) = body["usage"]
    budget = left["budget"]
    assert (budget["limit"], budget["settled"], budget["remaining"]) == (1_000_000, 300_000, 700_000)


async def test_what_is_left_of_a_narrowed_token_is_never_more_than_what_is_left_of_the_grant(world: World) -> None:
    client = await world.register(public=False)
    code, _ = await world.code(client)
    details = narrowed(budget={"amount": "1.00", "currency": "USD"})
    token = (await world.exchange(client, code, authorization_details=details)).json()["access_token"]
    await spend(world, 1_900_000)
    (left,) = (await told(world, client, token))["usage"]
    assert (left["budget"]["settled"], left["budget"]["remaining"]) == (0, 100_000)


async def test_a_grant_that_was_narrowed_since_narrows_what_its_tokens_say(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)

    async def work(tx: AsyncSession) -> None:
        access = await access_of(tx)
        await open_access(tx, access, world.clock())
        access.models, access.budget = '["gpt-4o-mini"]', 500_000
        await change_limits(tx, access, world.clock())

    await world.db.write(work)
    body = await told(world, client, tokens["access_token"])
    assert body["authorization_details"][0]["models"] == ["gpt-4o-mini"]
    assert body["authorization_details"][0]["budget"]["amount"] == "0.50"


async def test_a_paused_grants_token_is_one_whose_calls_are_refused(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    await world.db.write(lambda tx: grants.move(tx, tokens["grant_id"], GrantEvent.PAUSE, world.clock()))
    for token in (tokens["access_token"], tokens["refresh_token"]):
        body = await told(world, client, token)
        assert (body["active"], body["grant_state"]) == (True, "paused")


async def test_another_clients_token_and_an_unknown_one_say_the_same_nothing(world: World) -> None:
    client, thief = await world.register(public=False), await world.register(public=False)
    tokens = await world.tokens(client)
    for token in (tokens["access_token"], tokens["refresh_token"], "rft_unknown", "a.b.c", "é", "x" * 5000):
        assert await is_inactive(world, thief, token)


async def test_a_revoked_token_is_inactive(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    await world.revoke(client, tokens["access_token"])
    assert await is_inactive(world, client, tokens["access_token"])
    assert not await is_inactive(world, client, tokens["refresh_token"])
    await world.revoke(client, tokens["refresh_token"])
    assert await is_inactive(world, client, tokens["refresh_token"])


async def test_with_the_grant_all_its_tokens_are_inactive(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    await world.end_grant(tokens["grant_id"])
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert await is_inactive(world, client, token)


async def test_with_the_user_all_tokens_are_inactive(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    await world.disable_user()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert await is_inactive(world, client, token)


async def test_an_access_token_past_its_end_is_inactive(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    world.clock.turn(3600)
    assert await is_inactive(world, client, tokens["access_token"])
    assert not await is_inactive(world, client, tokens["refresh_token"])


async def test_a_bound_token_says_to_which_key(world: World) -> None:
    client, prover = await world.register(public=False), Prover()
    code, _ = await world.code(client)
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": "v" * 43, **client.fields()}
    proof = {"dpop": prover.proof(world.clock())}
    tokens = (await world.http.post("/oauth/token", data=fields, headers=proof)).json()
    body = await told(world, client, tokens["access_token"])
    assert (body["token_type"], body["cnf"]) == ("DPoP", {"jkt": prover.jkt})


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "nonsense"])
async def test_a_hint_is_only_a_hint(world: World, hint: str) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await introspect(world, client, token, token_type_hint=hint)).json()["active"] is True


async def test_nobody_asks_without_authenticating(world: World) -> None:
    client, public = await world.register(public=False), await world.register()
    tokens = await world.tokens(client)
    theirs = await world.tokens(public)
    for asker, token, secret in (
        (client, tokens["access_token"], None),
        (client, tokens["access_token"], "wrong"),
        (public, theirs["access_token"], None),
    ):
        answer = await introspect(world, asker, token, client_secret=secret)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_the_token_comes_in_the_form_of_a_post(world: World) -> None:
    client = await world.register(public=False)
    token = (await world.tokens(client))["access_token"]
    assert (await introspect(world, client, None)).json()["error"] == "invalid_request"
    in_address = await world.http.post("/oauth/introspect", params={"token": token}, data=client.fields())
    assert in_address.json()["error"] == "invalid_request"
    assert (await world.http.get("/oauth/introspect", params={"token": token})).status_code == 405


async def test_a_removed_client_asks_for_nothing(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    assert await world.db.write(lambda tx: clients.remove(tx, client.id, world.clock()))
    assert (await introspect(world, client, tokens["access_token"])).status_code == 401


async def test_details_are_told_in_the_type_that_was_asked_in(world: World) -> None:
    client = await world.register(public=False)
    asked = json.dumps([{"type": "llm-inference", "models": ["gpt-4o-mini", "gpt-4o"], "budget": 2}])
    code, _ = await world.approve(await world.asked(client, authorization_details=asked))
    tokens = (await world.exchange(client, code)).json()
    assert tokens["authorization_details"][0]["type"] == "llm-inference"
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await told(world, client, token))["authorization_details"] == tokens["authorization_details"]
