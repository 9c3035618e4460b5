"""Each dialect, whole and streamed, by each way that a call can end: what is booked, exact to the micro-dollar.

The costs are worked out by hand from the recorded usage, at dollars a million tokens, so micro-dollars a token.
"""

import asyncio
from collections.abc import Callable
from math import ceil

import pytest

from broker.store.ledger_tables import Reservation
from tests.metering.world import LAST_CHUNK, STREAM, Case, ask, saying
from tests.proxy.world import World

COSTS: dict[str, float] = {
    # gpt-4o-mini: 600 of input at 0.15, 400 of the cache at 0.075, 200 of output at 0.60.
    "openai_chat": 600 * 0.15 + 400 * 0.075 + 200 * 0.60,
    # gpt-audio: 100 of text at 2.50, 20 of sound at 32, 30 of text at 10, 120 of sound at 64.
    "openai_chat_sound": 100 * 2.5 + 20 * 32 + 30 * 10 + 120 * 64,
    # gpt-5: 200 at 1.25, 800 of the cache at 0.125, 300 at 10, of which 250 are thoughts.
    "openai_responses": 200 * 1.25 + 800 * 0.125 + 300 * 10,
    # gpt-4o-mini: 20,000 at 0.15, 300 at 0.60, two searches at 0.01 dollars; a page that was opened is none.
    "openai_search": 20_000 * 0.15 + 300 * 0.60 + 2 * 10_000,
    # gpt-3.5-turbo-instruct: 100 at 1.50, 50 at 2.
    "openai_completions": 100 * 1.5 + 50 * 2,
    # text-embedding-3-small: 101 at 0.02, rounded up.
    "openai_embeddings": 3,
    # gpt-image-1: 50 of text at 5, 272 of a picture at 40.
    "openai_images": 50 * 5 + 272 * 40,
    # The same, and 323 of a picture that went in at 10.
    "openai_image_edits": 50 * 5 + 323 * 10 + 272 * 40,
    # tts-1: 10 characters at 15, and nothing is ever told.
    "openai_speech": 10 * 15,
    # gpt-4o-transcribe: 10 of text at 2.50, 14 of sound at 6, 5 of output at 10.
    "openai_transcription": 10 * 2.5 + 14 * 6 + 5 * 10,
    # whisper-1: 9 seconds at $0.36 an hour.
    "openai_whisper": 9 * 100,
    # claude-sonnet-4-5: 100 at 3, 1,000 read from the cache at 0.30, 100 kept for minutes at 3.75, 200 for an hour at 6, 50 at 15.
    "anthropic_messages": 100 * 3 + 1_000 * 0.3 + 100 * 3.75 + 200 * 6 + 50 * 15,
    # gemini-2.5-flash: 400 at 0.30, 600 of the cache at 0.03, 100 and 150 of thoughts at 2.50.
    "google_generate": 400 * 0.3 + 600 * 0.03 + 250 * 2.5,
    # The same: 500 of text at 0.30 and 48 of sound at 1; of the cache 500 at 0.03 and 48 at 0.10; 150 of output at 2.50.
    "google_audio": 500 * 0.3 + 48 + 500 * 0.03 + 48 * 0.1 + 150 * 2.5,
    # gemini-2.5-flash-image: 20 at 0.30, 1,290 of a picture at 30, 25 of text at 2.50.
    "google_image": 20 * 0.3 + 1_290 * 30 + 25 * 2.5,
    # mistral-small-2603: 600 at 0.15, 400 of the cache at 0.015, 200 at 0.60.
    "mistral_chat": 600 * 0.15 + 400 * 0.015 + 200 * 0.60,
    # mistral-embed: 1,001 at 0.10.
    "mistral_embeddings": 1_001 * 0.10,
    # command-r-08-2024: 333 at 0.15 and 100 at 0.60 are billed, whatever else the model read.
    "cohere_chat": 333 * 0.15 + 100 * 0.60,
    # embed-v4.0: 1,003 at 0.12.
    "cohere_embed": 1_003 * 0.12,
    # rerank-v3.5: one search at $2 a thousand.
    "cohere_rerank": 2_000,
}

BOUNDS: dict[str, Callable[[int], float]] = {
    "openai_chat": lambda read: read * 0.15 + 300 * 0.60,
    # Half a second, counted as one of 20 tokens, and 16 around it; all of the answer as sound.
    "openai_chat_sound": lambda read: (read - 36) * 2.5 + 36 * 32 + 300 * 64,
    "openai_responses": lambda read: read * 1.25 + 400 * 10,
    # Three calls, and a turn before each, after the last and after one that is ignored, of 128,000 tokens.
    "openai_search": lambda _: 5 * 128_000 * 0.15 + 400 * 0.60 + 3 * 10_000,
    "openai_completions": lambda read: read * 1.5 + 60 * 2,
    "openai_embeddings": lambda read: read * 0.02,
    "openai_images": lambda read: read * 5 + 272 * 40,
    # One picture of at most 65 + 8 × 129 tokens, the rest text.
    "openai_image_edits": lambda read: (read - 1_097) * 5 + 1_097 * 10 + 272 * 40,
    "openai_speech": lambda _: 10 * 15,
    # The whole context as sound, and the whole output.
    "openai_transcription": lambda _: 16_000 * 6 + 2_000 * 10,
    # Nine seconds of samples and their header.
    "openai_whisper": lambda _: 10 * 100,
    # A request that keeps for an hour is held at that.
    "anthropic_messages": lambda read: read * 6 + 100 * 15,
    "google_generate": lambda read: read * 0.3 + 300 * 2.5,
    # Four seconds of sound at most, of 32 tokens, and 16 around them.
    "google_audio": lambda read: (read - 144) * 0.3 + 144 + 300 * 2.5,
    # All that the model can give, as if it were pictures.
    "google_image": lambda read: read * 0.3 + 32_768 * 30,
    "mistral_chat": lambda read: read * 0.15 + 300 * 0.60,
    "mistral_embeddings": lambda read: read * 0.10,
    "cohere_chat": lambda read: read * 0.15 + 300 * 0.60,
    "cohere_embed": lambda read: read * 0.12,
    # 101 documents are two searches, of up to a hundred each.
    "cohere_rerank": lambda _: 2 * 2_000,
}
"""By the bound of the input, at the dearest price of each side."""

CASES = [pytest.param(Case.read(name), id=name) for name in COSTS]
STREAMS = [pytest.param(case, id=name) for name in COSTS if (case := Case.read(name)).streams]
NEVER_TOLD = "openai_speech"


def bound_of(case: Case, row: Reservation) -> int:
    held = BOUNDS[case.name](row.input_bound)
    assert row.hold == ceil(round(held, 6))
    return row.hold


async def ended(world: World) -> Reservation:
    (row,) = await world.at_rest()
    assert (await world.verified()).startswith("OK")
    return row


@pytest.mark.parametrize("case", CASES)
async def test_complete(world: World, case: Case) -> None:
    world.provider.script = saying(case.answer())
    answered = await ask(world, case, streamed=False)
    assert answered.status == 200
    row = await ended(world)
    assert (row.cost, row.overrun, row.outcome) == (ceil(round(COSTS[case.name], 6)), 0, "ok")
    assert row.mark == ("estimated" if case.name == NEVER_TOLD else "reported")
    assert row.cost <= bound_of(case, row)


@pytest.mark.parametrize("case", STREAMS)
async def test_complete_stream(world: World, case: Case) -> None:
    world.provider.script = saying(STREAM, *case.pieces(), LAST_CHUNK)
    answered = await ask(world, case, streamed=True)
    assert answered.status == 200
    row = await ended(world)
    assert (row.cost, row.mark, row.outcome) == (ceil(round(COSTS[case.name], 6)), "reported", "ok")
    assert row.cost <= bound_of(case, row)


@pytest.mark.parametrize("case", CASES)
async def test_usage_missing(world: World, case: Case) -> None:
    world.provider.script = saying(case.answer(with_usage=False))
    assert (await ask(world, case, streamed=False)).status == 200
    row = await ended(world)
    assert (row.cost, row.mark, row.outcome) == (bound_of(case, row), "estimated", "ok")


@pytest.mark.parametrize("case", STREAMS)
async def test_usage_missing_in_a_stream(world: World, case: Case) -> None:
    world.provider.script = saying(STREAM, *case.pieces(with_usage=False), LAST_CHUNK)
    await ask(world, case, streamed=True)
    row = await ended(world)
    assert (row.cost, row.mark) == (bound_of(case, row), "estimated")


@pytest.mark.parametrize("case", CASES)
async def test_client_left(world: World, case: Case) -> None:
    world.provider.script = saying(case.answer(), before=0.15)
    await ask(world, case, streamed=False, leave_after=0)
    row = await ended(world)
    # The provider is read on for its usage.
    assert (row.cost, row.outcome) == (ceil(round(COSTS[case.name], 6)), "client_left")


@pytest.mark.parametrize("case", STREAMS)
async def test_client_left_a_stream(world: World, case: Case) -> None:
    world.provider.script = saying(STREAM, *case.pieces(), LAST_CHUNK)
    await ask(world, case, streamed=True, leave_after=1)
    row = await ended(world)
    assert (row.cost, row.mark, row.outcome) == (ceil(round(COSTS[case.name], 6)), "reported", "client_left")


@pytest.mark.parametrize("case", CASES)
async def test_cut_by_the_provider(world: World, case: Case) -> None:
    world.provider.script = saying(case.answer()[:-9], then="hangs up")
    await ask(world, case, streamed=False)
    row = await ended(world)
    assert (row.cost, row.mark, row.outcome) == (bound_of(case, row), "estimated", "broken")


@pytest.mark.parametrize("case", STREAMS)
async def test_cut_by_the_provider_in_a_stream(world: World, case: Case) -> None:
    world.provider.script = saying(STREAM, *case.pieces()[:2], then="hangs up")
    answered = await ask(world, case, streamed=True)
    assert b'"error"' in answered.body
    row = await ended(world)
    assert (row.cost, row.mark, row.outcome) == (bound_of(case, row), "estimated", "broken")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES)
async def test_error_before_content(world: World, case: Case, streamed: bool) -> None:
    world.provider.script = saying(case.error(429))
    answered = await ask(world, case, streamed=streamed and case.streams)
    assert answered.status == 429
    row = await ended(world)
    assert (row.cost, row.mark, row.outcome) == (0, "not_run", "provider_refused")


@pytest.mark.parametrize("case", STREAMS)
async def test_error_after_content(world: World, case: Case) -> None:
    world.provider.script = saying(STREAM, *case.pieces()[:2], case.error_event(), LAST_CHUNK)
    await ask(world, case, streamed=True)
    row = await ended(world)
    assert (row.cost, row.mark, row.outcome) == (bound_of(case, row), "estimated", "provider_failed")


async def _cut(world: World, case: Case, *, streamed: bool) -> Reservation:
    call = asyncio.create_task(ask(world, case, streamed=streamed))
    async with asyncio.timeout(20):
        while not world.provider.asked:  # noqa: ASYNC110 - a fake has no event for it
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
    await world.service.app.stop(2)
    await call
    return await ended(world)


@pytest.mark.parametrize("case", CASES)
async def test_cut_by_us(world: World, case: Case) -> None:
    world.provider.script = saying(then="waits")
    row = await _cut(world, case, streamed=False)
    assert (row.cost, row.mark, row.outcome) == (bound_of(case, row), "estimated", "unavailable")


@pytest.mark.parametrize("case", STREAMS)
async def test_cut_by_us_in_a_stream(world: World, case: Case) -> None:
    world.provider.script = saying(STREAM, *case.pieces()[:2], then="waits")
    row = await _cut(world, case, streamed=True)
    assert (row.cost, row.mark, row.outcome) == (bound_of(case, row), "estimated", "unavailable")
