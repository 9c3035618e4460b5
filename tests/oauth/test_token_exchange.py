"""An app gives its agent a narrower token out of its own (RFC 8693), and the agent one to its helper."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.ledger.worth import worth_of
from broker.oauth.grant_types import TOKEN_EXCHANGE
from broker.oauth.token_exchange import ACCESS_TOKEN
from broker.settings import Settings
from broker.store.grant_tables import AccessToken
from tests.oauth.prover import Prover
from tests.oauth.world import VERIFIER, Registered, World, narrowed, present


async def exchange(world: World, client: Registered, subject: str, **changes: str | None) -> httpx.Response:
    fields: dict[str, str | None] = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": subject,
        "subject_token_type": ACCESS_TOKEN,
        **client.fields(),
    }
    return await world.http.post("/oauth/token", data=present(fields | changes))


async def child(world: World, client: Registered, subject: str, **changes: str | None) -> dict[str, Any]:
    answer = await exchange(world, client, subject, **changes)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def live(world: World, token: str) -> bool:
    """Whether the proxy would take it."""
    jti = world.signer.verify_access_token(token, world.clock()).jti

    async def work(tx: AsyncSession) -> bool:
        row = await tx.get_one(AccessToken, jti)
        return await worth_of(tx, row, world.clock()) is not None

    return await world.db.read(work)


async def refused(world: World, client: Registered, subject: str, **changes: str | None) -> str:
    answer = await exchange(world, client, subject, **changes)
    assert answer.status_code == 400
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["error"])


async def token_of(world: World, client: Registered) -> str:
    return str((await world.tokens(client))["access_token"])


@pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])
async def test_a_token_is_made_out_of_a_token_with_less_and_nothing_to_refresh_it(world: World, public: bool) -> None:
    client = await world.register(public=public)
    mine = await token_of(world, client)
    answer = await exchange(world, client, mine, authorization_details=narrowed(models=["gpt-4o"]))
    body = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert body.keys() == {
        "access_token", "issued_token_type", "token_type", "expires_in", "authorization_expires_in",
        "authorization_details", "grant_id",
    }  # fmt: skip
    assert (body["issued_token_type"], body["token_type"]) == (ACCESS_TOKEN, "Bearer")
    assert body["authorization_details"][0]["models"] == ["gpt-4o"]
    assert await live(world, body["access_token"])
    assert await live(world, mine)
    assert (await world.audited())[-1] == "token.exchanged"


async def test_without_details_it_is_worth_what_its_parent_is(world: World) -> None:
    client = await world.register(public=False)
    less = await child(world, client, await token_of(world, client), authorization_details=narrowed(models=["gpt-4o"]))
    again = await child(world, client, less["access_token"])
    assert again["authorization_details"] == less["authorization_details"]


@pytest.mark.parametrize(
    "more",
    [
        {"models": ["gpt-4o-mini"]},
        {"models": ["*"]},
        {"models": ["gpt-4o"], "budget": {"amount": "1.01", "currency": "USD"}},
        {"models": ["gpt-4o"], "max_output_tokens": 51},
        {"models": ["gpt-4o"], "actions": ["chat", "embeddings"]},
    ],
    ids=str,
)
async def test_it_is_never_worth_more_than_its_parent(world: World, more: dict[str, Any]) -> None:
    client = await world.register(public=False)
    less = narrowed(models=["gpt-4o"], budget={"amount": "1.00", "currency": "USD"}, max_output_tokens=50)
    parent = await child(world, client, await token_of(world, client), authorization_details=less)
    subject = parent["access_token"]
    assert (
        await refused(world, client, subject, authorization_details=narrowed(**more)) == "invalid_authorization_details"
    )
    assert await exchange(world, client, subject, authorization_details=less)


async def test_it_ends_with_its_parent_and_dies_with_it(world: World) -> None:
    client = await world.register(public=False)
    mine = await token_of(world, client)
    world.clock.turn(600)
    agent = await child(world, client, mine)
    helper = await child(world, client, agent["access_token"])
    assert (agent["expires_in"], helper["expires_in"]) == (3000, 3000)
    await world.http.post("/oauth/revoke", data={"token": agent["access_token"], **client.fields()})
    assert not await live(world, helper["access_token"])
    assert await live(world, mine)
    other = await child(world, client, mine)
    await world.http.post("/oauth/revoke", data={"token": mine, **client.fields()})
    assert not await live(world, other["access_token"])


async def test_the_family_takes_the_tokens_made_out_of_it_with_it(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    agent = await child(world, client, tokens["access_token"])
    await world.http.post("/oauth/revoke", data={"token": tokens["refresh_token"], **client.fields()})
    assert not await live(world, agent["access_token"])


class TestWhereATokenMakesTwo:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path, exchange_tokens=2)

    async def test_depth_and_number_are_limited(self, world: World) -> None:
        client = await world.register(public=False)
        token = await token_of(world, client)
        made = [await child(world, client, token) for _ in range(2)]
        assert await refused(world, client, token) == "invalid_request"
        await world.http.post("/oauth/revoke", data={"token": made[0]["access_token"], **client.fields()})
        await child(world, client, token)
        deep = made[1]["access_token"]
        for _ in range(world.settings.exchange_depth - 1):
            deep = (await child(world, client, deep))["access_token"]
        assert await refused(world, client, deep) == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token": "a.b.c"}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        ({"actor_token": "x", "actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"audience": "https://other.example"}, "invalid_target"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"scope": "chat"}, "invalid_scope"),
        ({"agent_name": "x" * 81}, "invalid_request"),
    ],
    ids=str,
)
async def test_a_wrong_request_is_refused_by_its_error(
    world: World, changes: dict[str, str | None], error: str
) -> None:
    client = await world.register(public=False)
    assert await refused(world, client, await token_of(world, client), **changes) == error


async def test_the_token_of_another_client_makes_none(world: World) -> None:
    client, thief = await world.register(public=False), await world.register(public=False)
    assert await refused(world, thief, await token_of(world, client)) == "invalid_request"
    wrong = await exchange(world, client, await token_of(world, client), client_secret="x")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


async def test_a_token_that_is_dead_makes_none(world: World) -> None:
    client = await world.register(public=False)
    mine = await token_of(world, client)
    await world.http.post("/oauth/revoke", data={"token": mine, **client.fields()})
    assert await refused(world, client, mine) == "invalid_request"
    tokens = await world.tokens(client)
    assert await refused(world, client, tokens["refresh_token"]) == "invalid_request"
    world.clock.turn(3600)
    assert await refused(world, client, tokens["access_token"]) == "invalid_request"


async def test_it_is_told_of_at_introspection_with_its_parent(world: World) -> None:
    client = await world.register(public=False)
    agent = await child(world, client, await token_of(world, client), agent_name="Researcher")
    answer = await world.http.post("/oauth/introspect", data={"token": agent["access_token"], **client.fields()})
    told = answer.json()
    assert told["active"]
    assert told["parent_jti"].startswith("tok_")
    assert told["agent_name"] == "Researcher"
    assert told["usage"][0]["budget"]["limit"] == 2_000_000


async def test_a_bound_token_makes_only_tokens_that_are_bound(world: World) -> None:
    """RFC 9449 §5: what is bound must not be had unbound by whoever holds it."""
    for public in (False, True):
        client = await world.register(public=public)
        key, other = Prover(), Prover()

        async def ask(prover: Prover | None, form: dict[str, str], client: Registered = client) -> httpx.Response:
            headers = {} if prover is None else {"dpop": prover.proof(world.clock())}
            return await world.http.post("/oauth/token", data=form | client.fields(), headers=headers)

        code, _ = await world.code(client)
        mine = await ask(key, {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER})
        form = {"grant_type": TOKEN_EXCHANGE, "subject_token_type": ACCESS_TOKEN}
        form["subject_token"] = mine.json()["access_token"]
        plain, same, another = await ask(None, form), await ask(key, form), await ask(other, form)
        assert (same.status_code, same.json()["token_type"]) == (200, "DPoP")
        if public:
            assert plain.json()["error"] == another.json()["error"] == "invalid_request"
        else:
            assert plain.json()["token_type"] == another.json()["token_type"] == "DPoP"
            bound_to = [
                world.signer.verify_access_token(each.json()["access_token"], world.clock()).jkt
                for each in (plain, another)
            ]
            assert bound_to == [key.jkt, other.jkt]


class TestWhereItIsSwitchedOff:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path, exchange_depth=0)

    async def test_nothing_is_exchanged(self, world: World) -> None:
        known = (await world.http.get("/.well-known/oauth-authorization-server")).json()["grant_types_supported"]
        assert TOKEN_EXCHANGE not in known
        client = await world.register(public=False)
        assert await refused(world, client, await token_of(world, client)) == "unsupported_grant_type"
