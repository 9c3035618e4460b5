"""A usage that cannot be true is none: the bound is booked, never less, and never anything back."""

import json
from typing import Any

import pytest

from tests.fake_provider import head
from tests.metering.test_endings import bound_of
from tests.metering.world import Case, ask, saying
from tests.proxy.world import World

TOKENS: dict[str, Any] = {"input_tokens": 50, "output_tokens": 272, "input_tokens_details": {"text_tokens": 50}}
FORGED: dict[str, tuple[str, str]] = {
    "nothing": ("openai_images", "null"),
    "zero": ("openai_images", '{"input_tokens": 0, "output_tokens": 0}'),
    "negative": ("openai_images", json.dumps(TOKENS | {"output_tokens": -272})),
    "a string": ("openai_images", json.dumps(TOKENS | {"output_tokens": "272"})),
    "a fraction": ("openai_images", json.dumps(TOKENS | {"input_tokens": 49.5})),
    "not a number": ("openai_images", '{"input_tokens": 50, "output_tokens": NaN}'),
    "vast": ("openai_images", json.dumps(TOKENS | {"output_tokens": 2**31})),
    "4,000 digits": ("openai_images", f'{{"input_tokens": 50, "output_tokens": {"9" * 4_000}}}'),
    "more text than all": ("openai_images", json.dumps(TOKENS | {"input_tokens_details": {"text_tokens": 51}})),
    "more pictures than all": ("openai_images", json.dumps(TOKENS | {"input_tokens_details": {"image_tokens": 51}})),
    "no object": ("openai_images", "[322]"),
    "no sound at all": ("openai_whisper", '{"type": "duration", "seconds": 0}'),
    "seconds gone back": ("openai_whisper", '{"type": "duration", "seconds": -9}'),
    "a flag": ("openai_whisper", '{"type": "duration", "seconds": true}'),
    "no word of a chat's output": ("cohere_chat", '{"billed_units": {"input_tokens": 333}}'),
    "a bill of nothing": ("cohere_chat", '{"billed_units": {"input_tokens": 0, "output_tokens": 0}}'),
    "a bill of searches": ("cohere_chat", '{"billed_units": {"input_tokens": 1, "output_tokens": 1, "search_units": 1}}'),
    "a fraction of a token": ("cohere_chat", '{"billed_units": {"input_tokens": 333.5, "output_tokens": 100}}'),
    "more of the cache than all": (
        "mistral_chat", '{"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10}}',
    ),
    "less than nothing": ("mistral_chat", '{"prompt_tokens": -9, "completion_tokens": 1}'),
    "no output": ("mistral_chat", '{"prompt_tokens": 9}'),
    "for ever": ("openai_whisper", '{"type": "duration", "seconds": 1e308}'),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
async def test_a_usage_that_cannot_be_true_is_booked_at_the_bound(world: World, name: str) -> None:
    recorded, usage = FORGED[name]
    case = Case.read(recorded)
    raw = json.dumps(case.told["answer"] | {"usage": "?"}).replace('"?"', usage).encode()
    world.provider.script = saying(head(200, "application/json", len(raw)) + raw)
    await ask(world, case, streamed=False)
    (row,) = await world.at_rest()
    assert (row.cost, row.mark, row.overrun) == (bound_of(case, row), "estimated", 0)
    assert (await world.verified()).startswith("OK")
