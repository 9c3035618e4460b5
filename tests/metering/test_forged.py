"""A usage that cannot be true is none: the bound is booked, never less, and never anything back."""

import json
from typing import Any

import pytest

from tests.fake_provider import chunk, head
from tests.metering.test_endings import bound_of
from tests.metering.world import LAST_CHUNK, STREAM, Case, ask, saying
from tests.proxy.world import World

TOKENS: dict[str, Any] = {"input_tokens": 50, "output_tokens": 272, "input_tokens_details": {"text_tokens": 50}}
HEARD: dict[str, Any] = {"promptTokenCount": 1_000, "candidatesTokenCount": 1, "totalTokenCount": 1_001}
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
    "a sound that was not heard": ("google_generate", json.dumps(HEARD | {"cachedContentTokenCount": 1_001})),
    "a sense that nobody has": ("google_audio", json.dumps(HEARD | {"promptTokensDetails": [{"modality": "SMELL", "tokenCount": 1}]})),
    "less than no sound": ("google_audio", json.dumps(HEARD | {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": -1}]})),
    "a total of no number": ("google_audio", json.dumps(HEARD).replace("1001", "NaN")),
    "a spoken answer": ("google_image", json.dumps(HEARD | {"candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}]})),
    "a dearer tier": ("google_audio", json.dumps(HEARD | {"trafficType": "ON_DEMAND_PRIORITY"})),
    "for ever": ("openai_whisper", '{"type": "duration", "seconds": 1e308}'),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
async def test_a_usage_that_cannot_be_true_is_booked_at_the_bound(world: World, name: str) -> None:
    recorded, usage = FORGED[name]
    case = Case.read(recorded)
    where = "usageMetadata" if recorded.startswith("google") else "usage"
    raw = json.dumps(case.told["answer"] | {where: "?"}).replace('"?"', usage).encode()
    world.provider.script = saying(head(200, "application/json", len(raw)) + raw)
    await ask(world, case, streamed=False)
    (row,) = await world.at_rest()
    assert (row.cost, row.mark, row.overrun) == (bound_of(case, row), "estimated", 0)
    assert (await world.verified()).startswith("OK")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_of_a_usage_that_contradicts_itself_the_dearer_reading_is_booked(world: World, streamed: bool) -> None:
    case = Case.read("google_audio")
    told = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 120, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 60}]}  # fmt: skip
    answer = case.told["answer"] | {"usageMetadata": told}
    raw = json.dumps(answer).encode()
    whole = (head(200, "application/json", len(raw)), raw)
    world.provider.script = saying(*((STREAM, chunk(b"data: " + raw + b"\n\n"), LAST_CHUNK) if streamed else whole))
    await ask(world, case, streamed=streamed)
    (row,) = await world.at_rest()
    # 60 of text at 0.30; 40 of which nothing is told are sound at 1; 10 of output, and 10 that the total has beside it, at 2.50.
    assert (row.cost, row.mark, row.overrun) == (60 * 3 // 10 + 40 + 20 * 5 // 2, "reported", 0)
    assert (await world.verified()).startswith("OK")
