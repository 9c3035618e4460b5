"""Refused calls: the right words, nothing forwarded, nothing held."""

import json
from typing import Any

import pytest
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.ledger.overall import key_scope
from broker.ledger.overall_limits import Terms, set_limit
from broker.store import grants
from broker.store.grant_tables import Grant
from broker.store.ledger_tables import Counter, Refusal
from broker.store.tables import Credential
from tests.proxy.world import ASK, GRANT_OF, World


async def untouched(world: World) -> bool:
    async def held(tx: AsyncSession) -> int:
        return sum(counter.held + counter.settled for counter in (await tx.exec(select(Counter))).all())

    return world.provider.asked == [] and await world.db.read(held) == 0


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "gpt-4o"}, 403, "model_not_granted"),
        ({"model": "GPT-4o-mini"}, 403, "model_not_granted"),
        ({"model": "gpt-4o-mini "}, 403, "model_not_granted"),
        ({"model": ["gpt-4o-mini"]}, 400, "invalid_request"),
        ({"messages": "hi"}, 400, "invalid_request"),
        ({"n": 0}, 400, "invalid_request"),
        ({"n": 100_000}, 400, "invalid_request"),
        ({"n": 1.5}, 400, "invalid_request"),
        ({"max_tokens": -5}, 400, "invalid_request"),
        ({"max_tokens": "9"}, 400, "invalid_request"),
        ({"stream": "yes"}, 400, "invalid_request"),
        ({"stream": True, "stream_options": "x"}, 400, "invalid_request"),
        ({"api_base": "http://127.0.0.1:1"}, 403, "not_boundable"),
        ({"store": True}, 403, "not_boundable"),
        ({"service_tier": "auto"}, 403, "not_boundable"),
        ({"prediction": {"type": "content"}}, 403, "not_boundable"),
        ({"previous_response_id": "resp_1"}, 403, "not_boundable"),
        ({"web_search_options": {}}, 403, "action_not_granted"),
        ({"audio": {"voice": "x"}}, 403, "action_not_granted"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, 403, "action_not_granted"),
        ({"messages": [{"role": "user", "content": [{"type": "made_up"}]}]}, 403, "not_boundable"),
        ({"tools": [{"type": "web_search"}]}, 403, "action_not_granted"),
        ({"tools": [{"type": "mcp"}]}, 403, "not_boundable"),
        ({"max_tokens": 10_000_000_000}, 402, "budget_exhausted"),
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_not_granted_or_not_bounded_is_refused(
    world: World, change: dict[str, Any], status: int, code: str
) -> None:
    answered = await world.call(await world.token(budget=1000), ASK | change)
    assert (answered.status, answered.code) == (status, code)
    assert await untouched(world)


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b'{"model":"gpt-4o-mini","model":"gpt-4o"}', 400, "invalid_request"),
        (b'{"model":"gpt-4o-mini","\\u006dodel":"gpt-4o"}', 400, "invalid_request"),
        (b'\xef\xbb\xbf{"model":"x"}', 400, "invalid_request"),
        (json.dumps(ASK).encode("utf-16"), 400, "invalid_request"),
        (b'{"a":' + b"[" * 200_000, 400, "invalid_request"),
        (b'{"n":' + b"9" * 5_000 + b"}", 400, "invalid_request"),
        (b'{"temperature":NaN}', 400, "invalid_request"),
        (b'{"model":"\\ud800","messages":[{}]}', 400, "invalid_request"),
    ],
    ids=["empty", "array", "key twice", "key twice, escaped", "BOM", "UTF-16", "deep", "long number", "NaN", "surrogate"],
)  # fmt: skip
async def test_a_body_with_two_readings_is_refused(world: World, raw: bytes, status: int, code: str) -> None:
    answered = await world.call(await world.token(), raw)
    assert (answered.status, answered.code) == (status, code)
    assert await untouched(world)


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "text/plain"}, {"content-type": "multipart/form-data"}, {"content-encoding": "gzip"}],
    ids=str,
)
async def test_another_media_type_is_refused(world: World, headers: dict[str, str]) -> None:
    answered = await world.call(await world.token(), headers=headers)
    assert (answered.status, answered.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("name", ["access_token", "key", "api_key", "token"])
async def test_a_token_in_the_address_or_in_the_body_counts_for_nothing(world: World, name: str) -> None:
    token = await world.token()
    for answered in (
        await world.call(None, path=f"/proxy/openai/v1/chat/completions?{name}={token}"),
        await world.call(None, ASK | {name: token}),
    ):
        assert (answered.status, answered.code) == (401, "invalid_token")
        assert "error=" not in answered.headers["www-authenticate"]
    assert await untouched(world)


async def test_a_body_that_announces_too_much_is_refused_unread(world: World) -> None:
    answered = await world.call(await world.token(), headers={"content-length": "100000000000"})
    assert (answered.status, answered.code) == (413, "too_large")


async def test_two_framings_are_refused(world: World) -> None:
    answered = await world.call(await world.token(), headers={"transfer-encoding": "chunked"})
    assert answered.status == 400


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/proxy/openai/v1/fine_tuning/jobs", "POST", 404),
        ("/proxy/openai/v1/../../admin", "POST", 404),
        ("/proxy/openai/v1/%63hat/completions", "POST", 404),
        ("/proxy/openai//v1/chat/completions", "POST", 404),
        ("/proxy/openai/V1/chat/completions", "POST", 404),
        ("/proxy/openai/http://127.0.0.1/x", "POST", 404),
        ("/proxy/nobody/v1/chat/completions", "POST", 404),
        ("/proxy/openai/v1/chat/completions", "GET", 405),
        ("/proxy/openai/v1/models", "POST", 405),
    ],
)
async def test_a_path_that_is_not_in_the_table_is_not_there(world: World, path: str, method: str, status: int) -> None:
    answered = await world.call(await world.token(), path=path, method=method)
    assert answered.status == status
    assert await untouched(world)


@pytest.mark.parametrize("path", ["/proxy/anthropic/v1/messages", "/proxy/google/v1beta/models/m:generateContent"])
async def test_a_token_for_another_provider_is_told_so_first(world: World, path: str) -> None:
    answered = await world.call(await world.token(), path=path)
    assert (answered.status, answered.code) == (403, "provider_not_granted")
    assert 'error="insufficient_scope"' in answered.headers["www-authenticate"]


async def test_without_a_token_the_challenge_names_the_metadata_and_no_error(world: World) -> None:
    answered = await world.call(None)
    assert answered.status == 401
    challenge = answered.headers["www-authenticate"]
    metadata = 'resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource/proxy"'
    assert challenge == f'Bearer {metadata}, DPoP algs="ES256 PS256 RS256 EdDSA Ed25519", {metadata}'


@pytest.mark.parametrize("token", ["", "null", "a.b.c", "' OR '1'='1", "tok_unknown"])
async def test_a_bad_token_is_answered_like_any_other(world: World, token: str) -> None:
    answered = await world.call(token)
    assert (answered.status, answered.code) == (401, "invalid_token")
    assert 'error="invalid_token"' in answered.headers["www-authenticate"]


async def test_two_different_credentials_are_refused_and_equal_ones_count_once(world: World) -> None:
    token = await world.token()
    assert (await world.call(token, headers={"x-api-key": "tok_other"})).status == 400
    assert (await world.call(token, headers={"x-api-key": token})).status == 200


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (GrantEvent.PAUSE, 403, "grant_paused"),
        (GrantEvent.FREEZE, 403, "grant_frozen"),
        (GrantEvent.REVOKE, 401, "invalid_token"),
    ],
)
async def test_what_its_owner_did_counts_on_the_very_next_call(
    world: World, event: GrantEvent, status: int, code: str
) -> None:
    token = await world.token()

    async def work(tx: AsyncSession) -> None:
        [grant] = (await tx.exec(select(Grant))).all()
        await grants.move(tx, grant.id, event, world.clock())

    await world.db.write(work)
    answered = await world.call(token)
    assert (answered.status, answered.code) == (status, code)
    assert await untouched(world)


async def test_a_removed_key_makes_its_calls_unavailable(world: World) -> None:
    token = await world.token()
    await world.change(lambda tx: tx.exec(update(Credential).values(removed_at=world.clock(), sealed="")))
    answered = await world.call(token)
    assert (answered.status, answered.code) == (503, "provider_key_unavailable")
    assert await untouched(world)


async def test_a_used_up_budget_says_what_is_needed_what_is_left_and_where_to_raise_it(world: World) -> None:
    answered = await world.call(await world.token(budget=20))
    error = answered.json()["error"]
    assert (answered.status, error["code"], error["type"]) == (402, "budget_exhausted", "insufficient_quota")
    assert error["required"] > 20 == error["remaining"]
    assert error["manage_url"].startswith("http://127.0.0.1:8080/grants/grt_")
    assert "retry-after" not in answered.headers


@pytest.mark.parametrize(("kind", "limit"), [("credential", "key"), ("provider", "provider")])
async def test_a_limit_above_the_grant_says_which_it_is_and_where_its_owner_raises_it(
    world: World, kind: str, limit: str
) -> None:
    scope = "openai" if kind == "provider" else key_scope(world.user_id, world.credential_id)
    terms = Terms(20, None, "day")
    await world.change(lambda tx: set_limit(tx, kind, scope, terms, world.clock()))
    answered = await world.call(token := await world.token())
    error = answered.json()["error"]
    assert (answered.status, error["code"], error["limit"]) == (402, "budget_exhausted", limit)
    assert error["required"] > 20 == error["remaining"]
    raised = f"http://127.0.0.1:8080/grants/{GRANT_OF[token]}/limits?raise=key"
    assert error.get("manage_url") == (raised if limit == "key" else None)
    assert await untouched(world)


async def test_a_model_without_a_price_is_refused(world: World) -> None:
    answered = await world.call(await world.token(models='["mystery-1"]'), ASK | {"model": "mystery-1"})
    assert (answered.status, answered.code) == (403, "no_price")


async def test_refusals_are_noted_for_the_owner_a_few_a_minute(world: World) -> None:
    token = await world.token()
    for _ in range(12):
        await world.call(token, ASK | {"model": "gpt-4o"})

    async def noted(tx: AsyncSession) -> list[str]:
        return [row.code for row in (await tx.exec(select(Refusal))).all()]

    await world.service.app.stop(1)
    assert await world.db.read(noted) == ["model_not_granted"] * 10
