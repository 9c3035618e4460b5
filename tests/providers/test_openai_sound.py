"""Sound in a chat at OpenAI: what of it has a bound, and what its usage says of it."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.prices.book import PriceBook
from broker.providers.dialect import Name, Reading
from broker.providers.openai import ChatCompletions
from broker.providers.openai_request import MESSAGE_TOKENS, REQUEST_TOKENS
from broker.providers.openai_sound import AROUND, CONTEXT, MOST_RECORDINGS
from broker.providers.registry import Provider
from tests.providers.test_sound import FRAME, HEAD, ogg, wav
from tests.turned_clock import NOON

OPENAI = Provider("openai", "openai", "https://api.openai.com")
OTHER = Provider("local", "openai", "http://127.0.0.1:1")
CHAT = ChatCompletions()
VOICE: dict[str, Any] = {"voice": "alloy", "format": "mp3"}


def recording(data: bytes, form: str = "wav", **more: Any) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": b64encode(data).decode(), "format": form} | more}


def read(*parts: dict[str, Any], provider: Provider = OPENAI, **changes: Any) -> Reading:
    content = [{"type": "text", "text": "What is said?"}, *parts]
    asked: dict[str, Any] = {"model": "gpt-audio", "messages": [{"role": "user", "content": content}]} | changes
    return CHAT.read(asked, len(dumps(asked)), provider, "/v1/chat/completions")


def test_a_recording_is_bounded_by_the_seconds_that_it_can_last() -> None:
    found = read(recording(wav(9)), recording(FRAME * 383, "mp3"))
    # Nine seconds and the header are ten at the most, 383 frames of 26 ms eleven; 20 tokens each.
    sound = (10 + 11) * 20 + 2 * AROUND
    assert (found.unbounded, found.extra_actions, found.most) == (
        "",
        frozenset(["audio"]),
        Extras(input_audio_tokens=sound),
    )
    without = read()
    fields = 2 * len(b',{"type":"input_audio","input_audio":{"data":"","format":"wav"}}')
    assert found.input_bound == without.input_bound + sound + fields


def test_nothing_is_heard_beyond_the_context_of_the_model() -> None:
    slow = FRAME * 100 + b"\0" * 20_000_000
    assert read(recording(slow, "mp3")).most.input_audio_tokens == CONTEXT


def test_speech_is_bounded_by_the_output_maximum_at_the_price_of_speech() -> None:
    found = read(modalities=["text", "audio"], audio=VOICE, max_completion_tokens=50)
    assert (found.unbounded, found.extra_actions, found.own_output) == ("", frozenset(["audio"]), 50)
    sent = loads(found.render(50))
    assert isinstance(sent, dict)
    assert (sent["modalities"], sent["audio"], sent["max_completion_tokens"]) == (["text", "audio"], VOICE, 50)
    price = PriceBook().find("openai", "gpt-audio", NOON)
    assert price is not None
    # $64 a million tokens of speech.
    assert price.worst_case(0, 50) == 50 * 64


@pytest.mark.parametrize("model", ["gpt-audio", "gpt-audio-2025-08-28", "gpt-audio-1.5", "gpt-audio-mini-2025-12-15"])
def test_each_model_that_hears_has_a_price_of_sound(model: str) -> None:
    found = read(recording(wav(1)), model=model, modalities=["text", "audio"], audio=VOICE)
    price = PriceBook().find("openai", model, NOON)
    assert price is not None
    assert price.using(found.most) is not None


NOT_TAKEN: dict[str, tuple[dict[str, Any], str]] = {
    "another container": (recording(HEAD + ogg(b"\x78abc"), "wav"), "input_audio"),
    "one that says mp3 and is WAV": (recording(wav(1), "mp3"), "input_audio"),
    "one that says WAV and is mp3": (recording(FRAME * 50, "wav"), "input_audio"),
    "no format": ({"type": "input_audio", "input_audio": {"data": "AAAA"}}, "input_audio"),
    "an address": ({"type": "input_audio", "input_audio": {"url": "https://a.example/b.wav"}}, "input_audio"),
    "more than is known": (recording(wav(1), speed=2), "input_audio"),
    "no base64": ({"type": "input_audio", "input_audio": {"data": "UklGR!", "format": "wav"}}, "input_audio"),
    "not ASCII": ({"type": "input_audio", "input_audio": {"data": "ÄÄÄÄ", "format": "wav"}}, "input_audio"),
    "no frame": (recording(b"\xff\xfb", "mp3"), "input_audio"),
    "no sound that is known": (recording(b"RIFF\0\0\0\0WAVE"), "input_audio"),
}


@pytest.mark.parametrize(("part", "name"), NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_a_recording_without_a_bound_is_refused_by_its_name(part: dict[str, Any], name: str) -> None:
    found = read(part)
    assert name in found.unbounded
    assert found.extra_actions == {"audio"}


@pytest.mark.parametrize(
    "changes",
    [
        {"modalities": ["text", "audio"], "audio": {"voice": {"id": "voice_1"}, "format": "mp3"}},
        {"modalities": ["text", "audio"], "audio": VOICE | {"format": "flv"}},
        {"modalities": ["text", "audio"], "audio": VOICE | {"speed": 1}},
        {"modalities": ["text", "video"]},
        {"model": "gpt-4o-mini", "modalities": ["text", "audio"], "audio": VOICE},
        {"messages": [{"role": "assistant", "audio": {"id": "../x"}}]},
        {"messages": [{"role": "assistant", "audio": {"id": "audio_1", "data": "AAAA"}}]},
        {"model": "gpt-4o-mini", "messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]},
    ],
    ids=[
        "a voice of one's own",
        "format",
        "member",
        "video",
        "another model",
        "no id",
        "more than an id",
        "an id for another model",
    ],
)
def test_other_ways_to_ask_for_sound_are_refused(changes: dict[str, Any]) -> None:
    assert read(**changes).unbounded


def test_what_was_said_before_is_named_by_its_id() -> None:
    said = [{"role": "assistant", "audio": {"id": "audio_1"}}]
    found = read(messages=[*said, *said])
    assert (found.unbounded, found.extra_actions, found.recalls) == ("", frozenset(["audio"]), True)
    assert found.names == (Name("response", "audio_1"),) * 2
    assert (found.most, found.kept) == (Extras(input_audio_tokens=2 * AROUND), None)


def test_at_another_server_nothing_is_known_of_sound() -> None:
    assert read(recording(wav(1)), provider=OTHER).unbounded
    assert read(provider=OTHER, modalities=["text", "audio"], audio=VOICE).unbounded


def test_a_request_has_so_many_recordings_and_no_more() -> None:
    one = recording(wav(1, hertz=10, bits=8))
    assert not read(*[one] * MOST_RECORDINGS).unbounded
    with pytest.raises(CallRefused, match="at most 100 recordings"):
        read(*[one] * (MOST_RECORDINGS + 1))


def told(prompt: dict[str, Any] | None, completion: dict[str, Any] | None) -> dict[str, Any]:
    details = {"prompt_tokens_details": prompt, "completion_tokens_details": completion}
    return {"usage": {"prompt_tokens": 120, "completion_tokens": 150} | details}


def usage_of(answer: dict[str, Any], *parts: dict[str, Any], **changes: Any) -> Usage | None:
    endpoint = read(*parts, **changes).answered_by
    assert endpoint is not None
    usage, is_absurd = endpoint.usage(answer)
    assert is_absurd == (usage is None)
    return usage


SPOKEN: dict[str, Any] = {"modalities": ["text", "audio"], "audio": VOICE}


def test_sound_is_told_apart_from_text() -> None:
    both = told({"audio_tokens": 20, "text_tokens": 100, "cached_tokens": 110}, {"audio_tokens": 120})
    # Of 110 from the cache 100 may be text, which saves the least.
    extras = Extras(input_audio_tokens=20, cached_audio_tokens=10, output_audio_tokens=120)
    assert usage_of(both, recording(wav(1)), **SPOKEN) == Usage(120, 150, 110, extras=extras)


def test_what_is_not_told_to_be_text_is_taken_for_sound_where_sound_was_asked_for() -> None:
    silent = told(None, {"text_tokens": 30})
    both = Extras(input_audio_tokens=120, output_audio_tokens=120)
    assert usage_of(silent, recording(wav(1)), **SPOKEN) == Usage(120, 150, extras=both)
    assert usage_of(silent, **SPOKEN) == Usage(120, 150, extras=Extras(output_audio_tokens=120))
    assert usage_of(silent, recording(wav(1))) == Usage(120, 150, extras=Extras(input_audio_tokens=120))


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, 121, 2**31], ids=str)
def test_a_number_of_sound_that_cannot_be_is_no_usage(count: Any) -> None:
    assert usage_of(told({"audio_tokens": count}, None), recording(wav(1))) is None


def test_a_chat_without_sound_is_read_as_ever() -> None:
    plain = read()
    assert (plain.most, plain.answered_by) == (NO_EXTRAS, None)


@given(st.integers(0, 40), st.integers(1, 3), st.integers(0, 300), st.integers(0, 300))
def test_sound_costs_no_more_than_what_is_held(seconds: int, count: int, said: int, written: int) -> None:
    parts = [recording(wav(seconds, hertz=100, bits=8))] * count
    found = read(*parts, max_completion_tokens=600, **SPOKEN)
    listed = PriceBook().find("openai", "gpt-audio", NOON)
    price = listed and listed.using(found.most)
    assert price is not None
    # A message of the user: a token each 100 ms, and two around it; the text has fewer tokens than bytes.
    heard, text = count * (seconds * 10 + 2), len(b"What is said?") + REQUEST_TOKENS + MESSAGE_TOKENS
    extras = Extras(input_audio_tokens=heard, output_audio_tokens=said)
    used = Usage(heard + text, said + written, extras=extras)
    assert price.cost(used) <= price.worst_case(found.input_bound, 600)
