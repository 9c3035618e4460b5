"""Tokens that are bound to a key, at the proxy: what each wrong way to show one is answered, and that it reaches nobody."""

import asyncio
import json
from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.oauth.replays import MOST_A_MINUTE
from broker.settings import Settings
from broker.store import seen
from broker.store.tables import AuditEntry
from tests.oauth.prover import Prover
from tests.proxy.world import GRANT_OF, JKT_OF, Answered, World

ISSUER = "http://127.0.0.1:8080"
CHAT = "/proxy/openai/v1/chat/completions"
PROVER = Prover()


async def bound(world: World, prover: Prover = PROVER, **limits: Any) -> str:
    token = await world.token(**limits)
    JKT_OF[token] = prover.jkt
    return token


def proof(world: World, beside: str, path: str = CHAT, verb: str = "POST", by: Prover = PROVER, **more: Any) -> str:
    made: dict[str, Any] = {"uri": ISSUER + path, "method": verb, "token": beside}
    return by.proof(world.clock(), **(made | more))


async def show(
    world: World, token: str, *proofs: str, scheme: str = "DPoP", path: str = CHAT, method: str = "POST"
) -> Answered:
    headers = {"authorization": f"{scheme} {token}"}
    more = tuple(("dpop", one) for one in proofs)
    return await world.call(token, path=path, method=method, headers=headers, more=more)


def error_of(answered: Answered) -> str:
    """Of the challenge, which is for this scheme alone."""
    assert (answered.status, answered.code) == (401, "invalid_token")
    challenge = answered.headers["www-authenticate"]
    assert challenge.startswith("DPoP error=")
    assert 'algs="ES256 PS256 RS256 EdDSA Ed25519"' in challenge
    assert "Bearer" not in challenge
    return challenge.split('"')[1]


async def reached(world: World) -> int:
    return len(await world.at_rest())


async def test_a_right_proof_lets_the_call_through_and_crosses_to_nobody(world: World) -> None:
    token = await bound(world)
    answered = await show(world, token, proof(world, token))
    assert answered.status == 200
    assert "dpop-nonce" not in answered.headers
    (asked,) = world.provider.asked
    assert "dpop" not in str(asked).lower()


async def test_x01_a_proof_is_taken_once(world: World) -> None:
    token = await bound(world)
    shown = proof(world, token)
    assert (await show(world, token, shown)).status == 200
    assert error_of(await show(world, token, shown)) == "invalid_dpop_proof"
    assert await reached(world) == 1


async def test_a_proof_that_came_again_is_audited_and_many_are_a_few_entries(world: World) -> None:
    token = await bound(world)
    shown = proof(world, token)
    assert (await show(world, token, shown)).status == 200
    for _ in range(20):
        assert error_of(await show(world, token, shown)) == "invalid_dpop_proof"
    assert await world.db.read(_replays) == [(GRANT_OF[token], PROVER.jkt)] * MOST_A_MINUTE


async def _replays(tx: AsyncSession) -> list[tuple[str, str]]:
    rows = (await tx.exec(select(AuditEntry).where(AuditEntry.event == "proof.replayed"))).all()
    return [(row.object_id, json.loads(row.details)["jkt"]) for row in rows]


async def test_x01_of_one_proof_shown_fifty_times_at_once_one_is_taken(world: World) -> None:
    token = await bound(world)
    shown = proof(world, token)
    answers = await asyncio.gather(*(show(world, token, shown) for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 49


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "GET"},
        {"uri": ISSUER + "/proxy/openai/v1/models"},
        {"uri": "https://127.0.0.1:8080" + CHAT},
        {"uri": "http://localhost:8080" + CHAT},
        {"uri": "http://127.0.0.1" + CHAT},
        {"uri": ISSUER + CHAT + "/"},
        {"token": "tok_other"},
        {"ath": None},
        {"iat": 1},
        {"iat": "now"},
        {"header": {"typ": "JWT"}},
    ],
    ids=str,
)
async def test_x02_to_x05_a_proof_for_something_else_is_refused(world: World, wrong: dict[str, Any]) -> None:
    token = await bound(world)
    assert error_of(await show(world, token, proof(world, token, **wrong))) == "invalid_dpop_proof"
    assert await reached(world) == 0


async def test_x06_a_proof_by_another_key_is_refused(world: World) -> None:
    token = await bound(world)
    assert error_of(await show(world, token, proof(world, token, by=Prover()))) == "invalid_token"
    assert await reached(world) == 0


async def test_x07_a_bound_token_is_nothing_as_a_bearer_token(world: World) -> None:
    token = await bound(world)
    for scheme in ("Bearer", "bearer"):
        assert error_of(await show(world, token, scheme=scheme)) == "invalid_token"
        assert error_of(await show(world, token, proof(world, token), scheme=scheme)) == "invalid_token"
    for name in ("x-api-key", "x-goog-api-key"):
        assert error_of(await world.call(None, headers={name: token, "dpop": proof(world, token)})) == "invalid_token"
    assert await reached(world) == 0


async def test_x07_a_token_shown_in_both_ways_is_refused(world: World) -> None:
    token = await bound(world)
    shown = (("dpop", proof(world, token)), ("authorization", f"Bearer {token}"))
    both = await world.call(token, headers={"authorization": f"DPoP {token}"}, more=shown)
    assert (both.status, both.code) == (400, "invalid_request")
    key = await world.call(token, headers={"authorization": f"DPoP {token}", "x-api-key": token}, more=shown[:1])
    assert (key.status, key.code) == (400, "invalid_request")


async def test_x07_no_proof_and_two_proofs_are_refused(world: World) -> None:
    token = await bound(world)
    one, other = proof(world, token), proof(world, token)
    for shown in ((), (one, other), (f"{one}, {other}",), ("",)):
        assert error_of(await show(world, token, *shown)) == "invalid_dpop_proof"
    assert (await show(world, token, one)).status == 200


async def test_a_token_that_anybody_may_show_is_not_taken_as_a_bound_one(world: World) -> None:
    token = await world.token()
    assert error_of(await show(world, token, proof(world, token))) == "invalid_token"
    stray = await show(world, token, "what another server wanted", scheme="Bearer")
    assert stray.status == 200


@pytest.mark.parametrize("path", ["/proxy/anthropic/v1/messages", CHAT])
async def test_what_was_not_granted_is_said_in_the_scheme_of_the_token(world: World, path: str) -> None:
    token = await bound(world, actions='["embeddings"]')
    answered = await show(world, token, proof(world, token, path), path=path)
    assert answered.status == 403
    assert answered.headers["www-authenticate"].startswith('DPoP error="insufficient_scope", algs="ES256')
    assert "Bearer" not in answered.headers["www-authenticate"]


async def test_an_unknown_token_is_told_no_more_than_any_other(world: World) -> None:
    answered = await show(world, "nonsense", proof(world, "nonsense"))
    assert (answered.status, answered.code) == (401, "invalid_token")
    assert answered.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize("path", ["/proxy/status", "/proxy/openai/v1/models"])
async def test_what_is_left_and_what_is_granted_need_a_proof_too(world: World, path: str) -> None:
    token = await bound(world)
    assert error_of(await show(world, token, path=path, method="GET", scheme="Bearer")) == "invalid_token"
    shown = proof(world, token, path, "GET")
    assert (await show(world, token, shown, path=path, method="GET")).status == 200
    assert error_of(await show(world, token, shown, path=path, method="GET")) == "invalid_dpop_proof"


async def test_x09_a_full_memory_refuses_and_a_replay_stays_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await bound(world)
    shown = proof(world, token)
    assert (await show(world, token, shown)).status == 200
    monkeypatch.setattr(seen, "MOST_ON_A_SHELF", 0)
    full = await show(world, token, proof(world, token))
    assert (full.status, full.code) == (503, "unavailable")
    monkeypatch.undo()
    assert error_of(await show(world, token, shown)) == "invalid_dpop_proof"


async def test_x10_what_a_request_says_of_its_host_and_scheme_counts_for_nothing(world: World) -> None:
    token = await bound(world)
    forwarded = {"host": "broker.example", "x-forwarded-proto": "https", "x-forwarded-host": "broker.example"}
    told = {"authorization": f"DPoP {token}", **forwarded}
    misled = proof(world, token, uri="https://broker.example" + CHAT)
    assert (await world.call(token, headers=told, more=(("dpop", misled),))).status == 401
    assert (await world.call(token, headers=told, more=(("dpop", proof(world, token)),))).status == 200


async def test_x12_a_clock_that_steps_back_opens_no_window(world: World) -> None:
    token = await bound(world)
    shown = proof(world, token)
    assert (await show(world, token, shown)).status == 200
    for step in (-3600, 3600, 55, 4, 1, 30, -60, -25):
        world.clock.turn(step)
        assert error_of(await show(world, token, shown)) == "invalid_dpop_proof"
    assert await reached(world) == 1


class TestWithNonces:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"dpop_nonce": True})

    async def test_x08_a_proof_without_a_fresh_nonce_of_ours_is_told_one(self, world: World) -> None:
        token = await bound(world)
        told = await show(world, token, proof(world, token))
        assert error_of(told) == "use_dpop_nonce"
        nonce = told.headers["dpop-nonce"]
        assert error_of(await show(world, token, proof(world, token, nonce="of another server"))) == "use_dpop_nonce"
        taken = await show(world, token, proof(world, token, nonce=nonce))
        assert (taken.status, taken.headers["dpop-nonce"]) == (200, nonce)

    async def test_x08_a_stale_nonce_is_replaced_by_a_new_one(self, world: World) -> None:
        token, nonce = await bound(world), ""
        for _ in range(2):
            told = await self.status(world, token, nonce=nonce)
            assert error_of(told) == "use_dpop_nonce"
            assert told.headers["dpop-nonce"] != nonce
            nonce = told.headers["dpop-nonce"]
            assert (await self.status(world, token, nonce=nonce)).status == 200
            world.clock.turn(120)

    async def status(self, world: World, token: str, nonce: str) -> Answered:
        path = "/proxy/status"
        shown = proof(world, token, path, "GET", nonce=nonce)
        return await show(world, token, shown, path=path, method="GET")

    async def test_an_app_with_a_bearer_token_hears_nothing_of_it(self, world: World) -> None:
        answered = await world.call(await world.token())
        assert answered.status == 200
        assert "dpop-nonce" not in answered.headers
