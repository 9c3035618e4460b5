"""A call as its app, its provider and its books see it."""

from typing import Any

import pytest

from tests.canary import KEY
from tests.fake_provider import completion, whole
from tests.proxy.world import ASK, World
from tests.serve.http1.served import served


async def test_a_call_is_answered_with_the_providers_own_body(world: World) -> None:
    answered = await world.call(await world.token())
    assert answered.status == 200
    assert answered.json() == completion()


async def test_the_provider_gets_the_real_key_and_nothing_else_of_the_request(world: World) -> None:
    token = await world.token()
    await world.call(token, headers={"cookie": "a=b", "openai-organization": "org-x", "x-stainless-lang": "python"})
    asked = world.provider.asked[0]
    assert asked.header("authorization") == f"Bearer {KEY}"
    assert {name.lower() for name, _ in asked.headers} == {
        "host", "content-type", "accept", "authorization", "accept-encoding", "content-length",
    }  # fmt: skip
    assert token not in str(asked)


async def test_the_output_maximum_is_sent_under_the_name_that_the_provider_takes(world: World) -> None:
    await world.call(await world.token(max_output_tokens=40), ASK | {"max_completion_tokens": 50})
    sent = world.provider.asked[0].json()
    assert sent["max_completion_tokens"] == 40
    assert "max_tokens" not in sent
    assert sent["service_tier"] == "default"


async def test_a_call_is_settled_at_its_reported_usage(world: World) -> None:
    answered = await world.call(await world.token())
    [row] = await world.at_rest()
    # 10 tokens at $0.15 and 5 at $0.60 a million: 4.5 micro-dollars, rounded up once.
    assert (row.mark, row.cost, row.input_tokens, row.output_tokens) == ("reported", 5, 10, 5)
    assert 'remaining=999995, reserved=0, unit="micro-usd", cost=5' in answered.headers["aauth-budget"]
    assert (await world.verified()).startswith("OK")


async def test_the_ledger_row_says_where_its_price_came_from(world: World) -> None:
    await world.call(await world.token())
    [row] = await world.at_rest()
    assert '"source":"genai-prices"' in row.price
    assert '"output":600000' in row.price


async def test_both_request_ids_are_the_same(world: World) -> None:
    answered = await world.call(await world.token())
    assert answered.headers["x-request-id"] == answered.headers["request-id"] != ""


async def test_only_listed_headers_cross_back(world: World) -> None:
    async def script(asked: object, writer: object) -> None:
        extra = (
            "set-cookie: a=b",
            "openai-organization: org-secret",
            "x-ratelimit-remaining-requests: 7",
            "anthropic-ratelimit-input-tokens-remaining: 9",
            "anthropic-organization-id: org-secret",
            "refresh: 0",
        )
        writer.write(whole(completion(), 200, *extra))  # type: ignore[attr-defined]

    world.provider.script = script
    answered = await world.call(await world.token())
    assert answered.headers["x-ratelimit-remaining-requests"] == "7"
    assert answered.headers["anthropic-ratelimit-input-tokens-remaining"] == "9"
    hidden = {"set-cookie", "openai-organization", "anthropic-organization-id", "refresh"}
    assert not hidden & answered.headers.keys()


async def test_the_providers_own_request_id_goes_under_another_name(world: World) -> None:
    async def script(asked: object, writer: object) -> None:
        writer.write(whole(completion(), 200, "request-id: req_011CSHoEeqs5C35K2UUqR7Fy"))  # type: ignore[attr-defined]

    world.provider.script = script
    answered = await world.call(await world.token())
    assert answered.headers["x-provider-request-id"] == "req_011CSHoEeqs5C35K2UUqR7Fy"
    assert answered.headers["request-id"] == answered.headers["x-request-id"] != "req_011CSHoEeqs5C35K2UUqR7Fy"


async def test_a_maximum_that_is_the_whole_context_leaves_room_for_the_input(world: World) -> None:
    """OpenAI: "The token count of your prompt plus max_tokens cannot exceed the model's context length"."""
    token = await world.token(models='["gpt-4"]')
    for words, most in ("Hello", 8192 - 16), ("Hello " * 1200, 4096):
        ask = {"model": "gpt-4", "messages": [{"role": "user", "content": words}]}
        assert (await world.call(token, ask)).status == 200
        sent = world.provider.asked[-1].json()["max_completion_tokens"]
        assert 4096 <= sent <= most
    assert (await world.verified()).startswith("OK")


async def test_granted_models_are_listed_without_asking_the_provider(world: World) -> None:
    token = await world.token(models='["gpt-4o-mini","gpt-4.1*","no-such-model"]')
    answered = await world.call(token, b"", path="/proxy/openai/v1/models", method="GET")
    ids = [model["id"] for model in answered.json()["data"]]
    assert "gpt-4o-mini" in ids
    assert "gpt-4.1-nano" in ids
    assert "no-such-model" not in ids
    assert world.provider.asked == []


@pytest.mark.parametrize(
    ("provider", "path", "told"),
    [
        ("openai", "/v1/models/gpt-4.1-nano", {"id": "gpt-4.1-nano", "object": "model"}),
        ("anthropic", "/v1/models/claude-haiku-4-5", {"id": "claude-haiku-4-5", "type": "model"}),
        ("google", "/v1beta/models/gemini-2.5-flash", {"name": "models/gemini-2.5-flash"}),
        ("mistral", "/v1/models/mistral-small-latest", {"id": "mistral-small-latest", "type": "base"}),
        ("cohere", "/v1/models/command-a-03-2025", {"name": "command-a-03-2025", "endpoints": ["chat"]}),
    ],
)
async def test_one_granted_model_is_told_of_by_itself(
    world: World, provider: str, path: str, told: dict[str, object]
) -> None:
    listed = path.rpartition("/")[0]
    model = path.rpartition("/")[2]
    token = await world.token(provider=provider, models=f'["{model}","no-such-model"]')
    answered = await world.call(token, b"", path=f"/proxy/{provider}{path}", method="GET")
    assert (answered.status, answered.json() | told) == (200, answered.json())
    whole = (await world.call(token, b"", path=f"/proxy/{provider}{listed}", method="GET")).json()
    assert answered.json() in (whole.get("data") or whole.get("models"))
    for other in ("no-such-model", "gpt-4", f"{model}-x"):
        refused = await world.call(token, b"", path=f"/proxy/{provider}{listed}/{other}", method="GET")
        assert (refused.status, refused.code) == (404, "not_found")
    for method in ("POST", "DELETE"):
        assert (await world.call(token, b"", path=f"/proxy/{provider}{path}", method=method)).status == 404
    assert world.provider.asked == []


@pytest.mark.parametrize("path", ["/proxy/status", "/proxy/openai/v1/models", "/proxy/openai/v1/models/gpt-4o-mini"])
async def test_head_is_answered_as_get_but_without_content(world: World, path: str) -> None:
    """RFC 9110 §9.3.2."""
    token = await world.token()
    given = {}
    async with served(world.service.app) as server:
        for method in ("GET", "HEAD"):
            connection = await server.connect()
            await connection.say(
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            given[method] = await connection.hear(method)
            assert await connection.rest() == b""
    whole, bare = given["GET"], given["HEAD"]
    assert (whole.status, bare.status, bare.body) == (200, 200, b"")
    assert bare.header("content-length") == str(len(whole.body))
    assert bare.header("content-type") == whole.header("content-type")


async def test_another_method_is_told_of_both(world: World) -> None:
    answered = await world.call(await world.token(), path="/proxy/status")
    assert (answered.status, answered.headers["allow"]) == (405, "GET, HEAD")


async def test_a_token_for_another_provider_is_told_so_by_the_list_too(world: World) -> None:
    token = await world.token(provider="anthropic")
    answered = await world.call(token, b"", path="/proxy/openai/v1/models", method="GET")
    assert (answered.status, answered.code) == (403, "provider_not_granted")
    assert "insufficient_scope" in answered.headers["www-authenticate"]


async def test_status_says_what_is_left(world: World) -> None:
    token = await world.token(max_requests=5)
    await world.call(token)
    await world.at_rest()
    status = (await world.call(token, b"", path="/proxy/status", method="GET")).json()
    [access] = status["access"]
    assert status["state"] == "active"
    assert access["budget"]["remaining"] == 999_995
    assert access["requests"] == {"limit": 5, "used": 1}
    assert access["rate_limit"] == {"requests_per_minute": None, "tokens_per_minute": None, "concurrent": None}


@pytest.mark.parametrize(
    ("limits", "policy", "left"),
    [
        ({"tokens_per_minute": 9000}, '"tokens";q=9000;w=60', '"tokens";r={tokens};t=60'),
        (
            {"requests_per_minute": 5, "tokens_per_minute": 9000},
            '"requests";q=5;w=60, "tokens";q=9000;w=60',
            '"requests";r=4;t=60, "tokens";r={tokens};t=60',
        ),
    ],
)
async def test_tokens_a_minute_stand_there_at_the_bound_of_the_call(
    world: World, limits: dict[str, Any], policy: str, left: str
) -> None:
    answered = await world.call(await world.token(**limits))
    [row] = await world.at_rest()
    bound = row.input_bound + row.output_bound
    assert answered.headers["ratelimit-policy"] == policy
    assert answered.headers["ratelimit"] == left.format(tokens=9000 - bound)


async def test_what_is_left_stands_in_the_headers_of_whole_answers_and_streams(world: World) -> None:
    token = await world.token(requests_per_minute=5)
    whole_answer = await world.call(token)
    stream = await world.call(token, ASK | {"stream": True})
    assert whole_answer.headers["ratelimit-policy"] == '"requests";q=5;w=60'
    assert whole_answer.headers["ratelimit"] == '"requests";r=4;t=60'
    assert stream.headers["ratelimit"] == '"requests";r=3;t=60'
    reserved = (await world.at_rest())[-1].hold
    assert stream.headers["aauth-budget"] == f'remaining={999_995 - reserved}, reserved={reserved}, unit="micro-usd"'
