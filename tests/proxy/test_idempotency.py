"""The Idempotency-Key of an app: one call under it, and words for the repetition that its SDK understands."""

import asyncio
from typing import Any

import pytest

from tests.fake_provider import Asked, answer_chat
from tests.proxy.world import ASK, Answered, World

KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def test_a_repeated_call_is_told_that_it_ran_and_what_it_cost(world: World) -> None:
    token = await world.token()
    first = await world.call(token, headers=KEY)
    again = await world.call(token, headers=KEY)
    assert (first.status, again.status, again.code) == (200, 409, "already_ran")
    assert again.json()["error"]["type"] == "invalid_request_error"
    assert f"cost={again.json()['error']['cost']}" in first.headers["aauth-budget"]
    assert again.headers["x-should-retry"] == "false"
    assert "retry-after" not in again.headers
    assert len(world.provider.asked) == 1


async def test_a_call_that_runs_is_in_progress(world: World) -> None:
    arrived, answered = asyncio.Event(), asyncio.Event()

    async def slowly(asked: Asked, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await answered.wait()
        await answer_chat(asked, writer)

    world.provider.script = slowly
    token = await world.token()
    running = asyncio.create_task(world.call(token, headers=KEY))
    await arrived.wait()
    again = await world.call(token, headers=KEY)
    answered.set()
    assert (await running).status == 200
    assert (again.status, again.code, again.headers["retry-after"]) == (409, "in_progress", "1")
    assert "x-should-retry" not in again.headers


@pytest.mark.parametrize(
    "other",
    [
        {"body": ASK | {"max_tokens": 99}},
        {"path": "/proxy/openai/v1/completions", "body": {"model": "gpt-4o-mini", "prompt": "Hello"}},
    ],
    ids=["body", "path"],
)
async def test_another_request_under_the_same_key_is_refused(world: World, other: dict[str, Any]) -> None:
    token = await world.token(actions='["chat", "completions"]')
    await world.call(token, headers=KEY)
    again = await world.call(token, headers=KEY, **other)
    assert (again.status, again.code) == (422, "idempotency_mismatch")
    assert again.json()["error"]["type"] == "invalid_request_error"


async def test_a_call_that_the_provider_refused_may_come_again(world: World) -> None:
    token = await world.token()
    world.provider.script = _too_many
    refused = await world.call(token, headers=KEY)
    world.provider.script = answer_chat
    await world.at_rest()
    assert (refused.status, (await world.call(token, headers=KEY)).status) == (429, 200)


async def _too_many(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    body = b'{"error":{"message":"Slow down","type":"rate_limit_error"}}'
    writer.write(b"HTTP/1.1 429 X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()


async def test_the_keys_of_two_grants_are_strangers(world: World) -> None:
    calls = [await world.call(await world.token(), headers=KEY) for _ in range(2)]
    assert [each.status for each in calls] == [200, 200]


@pytest.mark.parametrize(
    "key", ["", " ", "x" * 256, "a\tb", "a\x7f", "caf\xe9"], ids=["empty", "blank", "long", "tab", "DEL", "Latin"]
)
async def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    answered = await world.call(await world.token(), headers={"idempotency-key": key})
    assert (answered.status, answered.code) == (400, "invalid_request")
    assert world.provider.asked == []


@pytest.mark.parametrize("key", ["x", "x" * 255, '"8e03978e"', "a b"], ids=["short", "long", "quoted", "spaced"])
async def test_a_key_may_be_what_an_app_likes(world: World, key: str) -> None:
    token = await world.token()
    calls = [await world.call(token, headers={"idempotency-key": key}) for _ in range(2)]
    assert [each.status for each in calls] == [200, 409]


async def test_a_key_that_comes_twice_is_refused(world: World) -> None:
    token = await world.token()
    answered = await world.call(token, headers=KEY, more=(("idempotency-key", KEY["idempotency-key"]),))
    assert (answered.status, answered.code) == (400, "invalid_request")


async def test_a_key_does_not_cross_to_the_provider(world: World) -> None:
    await world.call(await world.token(), headers=KEY)
    (asked,) = world.provider.asked
    assert asked.header("idempotency-key") == ""


async def test_the_app_that_left_finds_its_call_and_then_that_it_ran(world: World) -> None:
    token = await world.token()
    left: Answered = await world.call(token, ASK | {"stream": True}, headers=KEY, leave_after=1)
    assert left.status == 200
    await world.at_rest()
    again = await world.call(token, ASK | {"stream": True}, headers=KEY)
    assert (again.status, again.code) == (409, "already_ran")
