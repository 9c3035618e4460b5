"""Pictures and sound against the bound of a call: the dearest usage that their provider publishes never costs more."""

import struct
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import dumps
from broker.core.usage import Price, Usage
from broker.prices.book import PriceBook, output_limit
from broker.providers.dialect import Reading
from broker.providers.form import File, Form
from broker.providers.google_request import read_generate
from broker.providers.openai_audio import read_recording, read_speech
from broker.providers.openai_images import read_edit, read_generation
from tests.providers.test_text_bounds import PROVIDERS, TEXTS, counted
from tests.turned_clock import NOON

OPENAI = PROVIDERS["openai"]
# OpenAI, "Image generation": tokens of one picture of gpt-image-1, by quality and size.
DRAWN = {
    ("low", "1024x1024"): 272, ("low", "1024x1536"): 408, ("low", "1536x1024"): 400,
    ("medium", "1024x1024"): 1_056, ("medium", "1024x1536"): 1_584, ("medium", "1536x1024"): 1_568,
    ("high", "1024x1024"): 4_160, ("high", "1024x1536"): 6_240, ("high", "1536x1024"): 6_208,
}  # fmt: skip


def priced(reading: Reading, provider: str = "openai") -> Price:
    found = PriceBook().find(provider, reading.model, NOON, reading.priced_by)
    assert found is not None
    price = found if reading.most is NO_EXTRAS else found.using(reading.most)
    assert price is not None
    return price


def most(reading: Reading) -> int:
    return priced(reading).worst_case(reading.input_bound, reading.fixed_output or 0)


@given(TEXTS.filter(bool), st.sampled_from(sorted(DRAWN)), st.integers(1, 10), st.integers(0, 3), st.booleans())
def test_pictures_cost_no_more_than_what_is_held(
    prompt: str, kind: tuple[str, str], count: int, partial: int, is_auto: bool
) -> None:
    body: dict[str, Any] = {"model": "gpt-image-1", "prompt": prompt, "n": count, "partial_images": partial}
    body |= {"quality": "auto", "size": "auto"} if is_auto else {"quality": kind[0], "size": kind[1]}
    reading = read_generation(body, len(dumps(body)), OPENAI, "/v1/images/generations")
    used = Usage(counted("o200k_base", prompt) + 20, count * (DRAWN[kind] + 100 * partial))
    assert not reading.unbounded
    assert priced(reading).cost(used) <= most(reading)


@given(TEXTS.filter(bool), st.integers(1, 16), st.sampled_from(["low", "high", None]), st.integers(0, 8))
def test_pictures_that_go_in_cost_no_more_than_what_is_held(
    prompt: str, count: int, fidelity: str | None, tiles: int
) -> None:
    body: dict[str, Any] = {"model": "gpt-image-1", "prompt": prompt, "size": "1024x1024", "quality": "low"}
    body |= {"input_fidelity": fidelity} if fidelity else {}
    files = tuple(File("a.png", "image/png", b"x" * 9) for _ in range(count))
    size = len(prompt.encode()) + 9 * count + 200
    reading = read_edit(Form(body, {"image": files}), size, OPENAI, "/v1/images/edits")
    pictures = count * (65 + 129 * tiles + (6_240 if fidelity == "high" else 0))
    used = Usage(counted("o200k_base", prompt) + 20 + pictures, 272, extras=Extras(input_image_tokens=pictures))
    assert priced(reading).cost(used) <= most(reading)


@given(TEXTS.filter(bool))
def test_a_spoken_text_costs_what_is_held(text: str) -> None:
    reading = read_speech({"model": "tts-1-hd", "input": text, "voice": "x"}, 0, OPENAI, "/v1/audio/speech")
    # $30 a million characters.
    assert most(reading) == 30 * len(text)


@given(st.integers(0, 16_000), st.integers(0, 2_000))
@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-4o-mini-transcribe"])
def test_a_recording_costs_no_more_than_what_is_held(model: str, heard: int, written: int) -> None:
    form = Form({"model": model}, {"file": (File("a.m4a", "audio/mp4", b"x"),)})
    reading = read_recording(form, 9, OPENAI, "/v1/audio/transcriptions")
    used = Usage(16_000, written, extras=Extras(input_audio_tokens=heard))
    assert priced(reading).cost(used) <= most(reading)


def recording(seconds: int, hertz: int) -> str:
    form = struct.pack("<IHHIIHH", 16, 1, 1, hertz, hertz, 1, 8)
    return b64encode(b"RIFF____WAVEfmt " + form + b"data____" + bytes(seconds * hertz)).decode()


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from([100, 1_000])), min_size=1, max_size=4),
    st.integers(0, 4_096), st.integers(0, 9), st.sampled_from(["gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-3-flash-preview"]),
    TEXTS.filter(bool),
)  # fmt: skip
def test_recordings_for_gemini_cost_no_more_than_what_is_held(
    recordings: list[tuple[int, int]], written: int, cached: int, model: str, text: str
) -> None:
    parts = [{"inlineData": {"mimeType": "audio/wav", "data": recording(*each)}} for each in recordings]
    body: Any = {"contents": [{"parts": [{"text": text}, *parts]}], "generationConfig": {"maxOutputTokens": 4_096}}
    reading = read_generate(body, len(dumps(body)), PROVIDERS["google"], "/v1/models/m:generateContent", model)
    assert reading.unbounded == ""
    # 32 tokens a second, and each byte of text as one; whatever of it was cached is part of it.
    heard = sum(32 * seconds for seconds, _ in recordings)
    words = len(text.encode())
    kept = cached * heard // 9
    used = Usage(words + heard, written, kept, extras=Extras(input_audio_tokens=heard, cached_audio_tokens=kept))
    price = priced(reading, "google")
    assert price.cost(used) <= price.worst_case(reading.input_bound, 4_096)


@given(st.integers(0, 25), st.integers(0, 500), TEXTS.filter(bool))
def test_pictures_that_gemini_draws_cost_no_more_than_what_is_held(pictures: int, words: int, text: str) -> None:
    body: Any = {"contents": [{"parts": [{"text": text}]}]}
    model = "gemini-2.5-flash-image"
    reading = read_generate(body, len(dumps(body)), PROVIDERS["google"], "/v1/models/m:generateContent", model)
    limit = output_limit("google", model)
    assert limit == 32_768
    # 1,290 tokens a picture, of which no more are given than the model gives.
    drawn = min(limit - words, 1_290 * pictures)
    used = Usage(len(text.encode()), drawn + words, extras=Extras(output_image_tokens=drawn))
    price = priced(reading, "google")
    assert price.cost(used) <= price.worst_case(reading.input_bound, limit)
