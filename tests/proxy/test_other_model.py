"""U18 of the threats: a provider that answers with another model than was asked for is paid at the dearer of both."""

import asyncio
from typing import Any

import pytest

from broker.core.money import MicroUSD
from broker.core.usage import Usage
from broker.ledger.settle import Close, Ending
from broker.ledger.wire import close_of, close_to_plain
from broker.prices.book import PriceBook
from broker.providers.dialect import model_of
from tests.fake_anthropic import message
from tests.fake_google import answer
from tests.fake_openai import response
from tests.fake_provider import LAST_CHUNK, Asked, chunk, completion, delta, event, head, usage, usage_event, whole
from tests.proxy.test_straight import at_sight
from tests.proxy.world import ASK, World
from tests.turned_clock import NOON


def answering(said: dict[str, Any]) -> Any:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(said))
        await writer.drain()

    return script


def streaming(model: str, prompt: int, written: int) -> Any:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        events = [delta("Hello.") | {"model": model}, usage_event(usage(prompt, written)) | {"model": model}]
        pieces = b"".join(chunk(event(each)) for each in events)
        writer.write(head(200, "text/event-stream") + pieces + chunk(b"data: [DONE]\n\n") + LAST_CHUNK)
        await writer.drain()

    return script


@pytest.mark.parametrize("kind", ["whole", "straight", "stream"])
@pytest.mark.parametrize(
    ("model", "cost", "version"),
    [
        # 4 tokens at $5 and 2 at $15 a million, the dearest of its dated ids; of gpt-4o-mini it would be 0.6 and 1.2.
        ("gpt-4o", 50, ", of gpt-4o"),
        ("gpt-4o-2024-11-20", 50, ", of gpt-4o-2024-11-20"),
        ("gpt-4o-mini-2024-07-18", 2, ""),
        ("gpt-4.1-nano", 2, ""),
        ("nobody-knows-it", 2, ""),
        ("", 2, ""),
    ],
    ids=["dearer", "dearer and dated", "the same, dated", "cheaper", "unknown", "untold"],
)
async def test_the_dearer_of_both_is_paid(world: World, kind: str, model: str, cost: int, version: str) -> None:
    token = await world.token()
    if kind == "stream":
        world.provider.script = streaming(model, 4, 2)
        answered = await world.call(token, ASK | {"stream": True})
    else:
        world.provider.script = answering(completion(used=usage(4, 2)) | {"model": model})
        answered = await (world.call(token) if kind == "whole" else at_sight(world, token))
    assert answered.status == 200
    for row in await world.at_rest():
        assert (row.cost, row.overrun, row.mark, row.model) == (cost, 0, "reported", "gpt-4o-mini")
        assert (", of " in row.price) == bool(version)
        assert version in row.price
    if kind != "stream":
        assert f"cost={cost}" in answered.headers["aauth-budget"]
    assert (await world.verified()).startswith("OK")


async def test_the_dated_name_of_a_model_that_searched_is_no_other_price(world: World) -> None:
    token = await world.token(actions='["chat", "web_search"]', models='["*"]', budget=2_000_000)
    world.provider.script = answering(
        response(input_tokens=300_000, output_tokens=10) | {"model": "gpt-5.4-2026-03-05"}
    )
    body = {"model": "gpt-5.4", "input": "Hello", "tools": [{"type": "web_search"}], "max_tool_calls": 1, "max_output_tokens": 100}  # fmt: skip
    assert (await world.call(token, body, path="/proxy/openai/v1/responses")).status == 200
    (row,) = await world.at_rest()
    # $2.50 and $15 a million: no turn read more than 128,000, so that the step at 272,000 was not reached.
    assert (row.cost, row.overrun) == (750_000 + 150, 0)
    assert ", of " not in row.price


async def test_what_it_costs_beyond_the_bound_is_an_overrun(world: World) -> None:
    token = await world.token()
    world.provider.script = answering(completion(used=usage(100, 100)) | {"model": "gpt-4o"})
    await world.call(token)
    (row,) = await world.at_rest()
    # 100 tokens at $5 and 100 at $15 a million.
    assert (row.cost, row.cost + row.overrun) == (row.hold, 2_000)
    assert row.overrun > 0
    assert (await world.verified()).startswith("OK")
    assert (await world.call(token)).code == "grant_frozen"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (completion(), "gpt-4o-mini"),
        (message("claude-opus-4-5"), "claude-opus-4-5"),
        (answer() | {"modelVersion": "gemini-2.5-pro"}, "gemini-2.5-pro"),
        ({"modelVersion": "models/gemini-2.5-pro"}, "gemini-2.5-pro"),
        ({"model": 5}, ""),
        ({"model": "a b"}, ""),
        ({"model": "x" * 201}, ""),
        ([], ""),
    ],
    ids=["OpenAI", "Anthropic", "Google", "Google, with its kind", "a number", "a blank", "too long", "no object"],
)
def test_an_answer_says_whose_it_is(said: Any, told: str) -> None:
    assert model_of(said) == told


def test_the_price_goes_along_to_the_process_that_has_the_books() -> None:
    price = PriceBook().find("openai", "gpt-4o", NOON)
    close = Close("res_1", Ending("reported", "ok", Usage(4, 2), 200, price=price))
    received = close_of(close_to_plain(close))
    assert received == close
    assert received.ending.price is not None
    assert received.ending.price.cost(Usage(4, 2)) == MicroUSD(50)
