"""Google's search of the web and addresses that are read: held at one search and all that the model can read, booked by what was told."""

import json
from typing import Any

import pytest

from tests.fake_provider import LAST_CHUNK, chunk, head, whole
from tests.metering.world import saying
from tests.proxy.world import World

CONTEXT, OUTPUT = 1_048_576, 65_536
"""Of gemini-2.5-flash, whose prices are $0.30 and $2.50 a million tokens, and $35 for a thousand prompts."""
SEARCH: dict[str, Any] = {"google_search": {}}
READ: dict[str, Any] = {"urlContext": {}}
USED: dict[str, Any] = {"promptTokenCount": 1_000, "toolUsePromptTokenCount": 500, "candidatesTokenCount": 100, "totalTokenCount": 1_600}  # fmt: skip
FOUND: dict[str, Any] = {
    "webSearchQueries": ["one", "two", ""],
    "groundingChunks": [{"web": {"uri": "https://a.test"}}],
}
PLAIN = 1_500 * 3 // 10 + 100 * 5 // 2
GROUNDED = PLAIN + 35_000


def asked(*tools: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"parts": [{"text": "Hello"}]}], "tools": list(tools), "generationConfig": {"maxOutputTokens": 100}}  # fmt: skip


def said(metadata: Any, *, used: Any = USED, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "index": 0}
    candidate |= {} if metadata is None else {"groundingMetadata": metadata}
    return {"candidates": [candidate | more], **({} if used is None else {"usageMetadata": used})}


async def call(world: World, body: dict[str, Any], *, model: str = "gemini-2.5-flash", actions: str = '["chat", "web_search"]', streamed: bool = False) -> Any:  # fmt: skip
    token = await world.token(provider="google", models='["gemini-*"]', actions=actions, budget=5_000_000)
    method = "streamGenerateContent?alt=sse" if streamed else "generateContent"
    return await world.call(token, body, path=f"/proxy/google/v1beta/models/{model}:{method}")


@pytest.mark.parametrize(
    ("metadata", "cost"),
    [
        (FOUND, GROUNDED), ({"webSearchQueries": ["one"]}, GROUNDED), ({"groundingChunks": [{}]}, GROUNDED),
        ({"searchEntryPoint": {"renderedContent": "x"}}, GROUNDED), ({"webSearchQueries": 5}, GROUNDED),
        ("forged", GROUNDED), ([], GROUNDED), (None, PLAIN), ({}, PLAIN), ({"webSearchQueries": []}, PLAIN),
    ],
    ids=str,
)  # fmt: skip
async def test_a_grounded_prompt_is_paid_for_once_and_one_that_was_not_is_not(
    world: World, metadata: Any, cost: int
) -> None:
    world.provider.script = saying(whole(said(metadata, finishReason="STOP")))
    answered = await call(world, asked(SEARCH))
    assert answered.status == 200, answered.body
    (row,) = await world.at_rest()
    assert (row.cost, row.mark) == (cost, "reported")
    # All that the model can read and give, and one search.
    assert row.hold == -(-CONTEXT * 3 // 10) + OUTPUT * 5 // 2 + 35_000
    assert (await world.verified()).startswith("OK")


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_in_a_stream_any_event_may_tell_of_it(world: World, place: int) -> None:
    events = [said(None, used=None), said(None, finishReason="STOP"), {"usageMetadata": USED}]
    events[place] |= said(FOUND, used=events[place].get("usageMetadata"), **({"finishReason": "STOP"} if place else {}))
    pieces = [chunk(f"data: {json.dumps(each)}\n\n".encode()) for each in events]
    world.provider.script = saying(head(200, "text/event-stream"), *pieces, LAST_CHUNK)
    await call(world, asked(SEARCH), streamed=True)
    (row,) = await world.at_rest()
    assert (row.cost, row.mark) == (GROUNDED, "reported")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_without_a_usage_the_bound_is_booked(world: World, streamed: bool) -> None:
    told = said(FOUND, used=None, finishReason="STOP")
    stream = (head(200, "text/event-stream"), chunk(f"data: {json.dumps(told)}\n\n".encode()), LAST_CHUNK)
    world.provider.script = saying(*(stream if streamed else (whole(told),)))
    await call(world, asked(SEARCH), streamed=streamed)
    (row,) = await world.at_rest()
    assert (row.cost, row.mark) == (row.hold, "estimated")


async def test_addresses_that_are_read_are_input_and_have_no_price_of_their_own(world: World) -> None:
    metadata: Any = {"groundingChunks": [{"web": {}}]}
    read: Any = {"urlMetadata": [{"retrievedUrl": "https://a.test"}]}
    world.provider.script = saying(whole(said(metadata, urlContextMetadata=read, finishReason="STOP")))
    for tools, extra in (((READ,), 0), ((READ, SEARCH), 35_000)):
        assert (await call(world, asked(*tools))).status == 200
        row = (await world.at_rest())[-1]
        assert (row.cost, row.mark) == (PLAIN, "reported")
        assert row.hold == -(-CONTEXT * 3 // 10) + OUTPUT * 5 // 2 + extra


async def test_addresses_are_read_by_later_models_too(world: World) -> None:
    world.provider.script = saying(whole(said(None, finishReason="STOP")))
    assert (await call(world, asked(READ), model="gemini-3-flash-preview")).status == 200
    (row,) = await world.at_rest()
    # $0.50 and $3 a million tokens.
    assert (row.cost, row.hold) == (1_500 // 2 + 100 * 3, CONTEXT // 2 + OUTPUT * 3)


@pytest.mark.parametrize(
    ("tool", "model", "words"),
    [
        (SEARCH, "gemini-3-flash-preview", "each query is paid for at this model"),
        (SEARCH, "gemini-3.1-pro-preview", "each query is paid for at this model"),
        ({"codeExecution": {}}, "gemini-2.5-flash", "what is read again between its steps is paid for"),
        ({"googleSearch": {"searchTypes": {"imageSearch": {}}}}, "gemini-2.5-flash", "tools.googleSearch"),
        ({"googleSearch": 5}, "gemini-2.5-flash", "tools.googleSearch"),
        ({"urlContext": {"something": 1}}, "gemini-2.5-flash", "tools.urlContext"),
        (READ, "gemini-3.8-flash", "tools.urlContext"),
        ({"googleMaps": {}}, "gemini-2.5-flash", "tools.googleMaps"),
        ({"enterpriseWebSearch": {}}, "gemini-2.5-flash", "tools.enterpriseWebSearch"),
    ],
    ids=["Gemini 3", "Gemini 3.1", "code", "pictures", "a number", "a member unknown", "context not known", "maps", "enterprise"],
)  # fmt: skip
async def test_what_has_no_bound_is_refused_and_says_why(
    world: World, tool: dict[str, Any], model: str, words: str
) -> None:
    answered = await call(world, asked(tool), model=model, actions='["chat", "web_search", "code_execution"]')
    assert (answered.status, answered.code) == (403, "not_boundable")
    assert words in answered.json()["error"]["message"]
    assert world.provider.asked == []


async def test_a_search_without_a_price_is_refused(world: World) -> None:
    answered = await call(world, asked({"googleSearchRetrieval": {}}), model="gemini-2.5-flash-001")
    assert answered.status == 403
    assert world.provider.asked == []


@pytest.mark.parametrize(
    ("tool", "model"),
    [
        (SEARCH, "gemini-2.5-flash"), (READ, "gemini-2.5-flash"), ({"googleSearchRetrieval": {}}, "gemini-2.0-flash"),
        (SEARCH, "gemini-3-flash-preview"), ({"codeExecution": {}}, "gemini-2.5-flash"),
    ],
    ids=str,
)  # fmt: skip
async def test_each_needs_its_action_before_a_byte_leaves(world: World, tool: dict[str, Any], model: str) -> None:
    answered = await call(world, asked(tool), model=model, actions='["chat"]')
    assert (answered.status, answered.code) == (403, "action_not_granted")
    assert world.provider.asked == []
    assert world.provider.received == 0
