"""Pictures in requests: what each provider publishes about their tokens, and that no bound is below it."""

import base64
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.prices.book import PriceBook
from broker.providers.anthropic import Anthropic
from broker.providers.dialect import Dialect, Name, Reading
from broker.providers.google import Google
from broker.providers.images import AROUND, Pictures
from broker.providers.openai import OpenAI
from broker.providers.registry import Provider
from tests.turned_clock import NOON

OPENAI = Provider("openai", "openai", "https://api.openai.com")
ANTHROPIC = Provider("anthropic", "anthropic", "https://api.anthropic.com")
GOOGLE = Provider("google", "google", "https://generativelanguage.googleapis.com")
OTHER = Provider("local", "openai", "http://127.0.0.1:1")
DIALECTS: dict[str, Dialect] = {"openai": OpenAI(), "anthropic": Anthropic(), "google": Google()}
DATA = base64.b64encode(bytes(range(256)) * 120).decode()
PNG = f"data:image/png;base64,{DATA}"
HTTPS = "https://example.com/picture.png"
HELLO = "What is in this picture?"

SIZES = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))


def openai_tiles(width: float, height: float, base: int, tile: int) -> int:
    fit = min(1, 2_048 / max(width, height))
    width, height = width * fit, height * fit
    shrink = min(1, 768 / min(width, height))
    return base + tile * math.ceil(width * shrink / 512) * math.ceil(height * shrink / 512)


def openai_patches(width: float, height: float, budget: int, longest: int, multiplier: float) -> int:
    fit = min(1, longest / max(width, height))
    width, height = width * fit, height * fit
    if math.ceil(width / 32) * math.ceil(height / 32) > budget:
        shrink = math.sqrt(32**2 * budget / (width * height))
        across, down = width * shrink / 32, height * shrink / 32
        shrink *= min(max(math.floor(across), 1) / across, max(math.floor(down), 1) / down)
        width, height = math.floor(width * shrink), math.floor(height * shrink)
    patches = min(math.ceil(width / 32) * math.ceil(height / 32), budget)
    return math.ceil(patches * multiplier)


def anthropic_patches(width: float, height: float, longest: int, most: int) -> int:
    """The largest size of the same shape that keeps both limits."""
    low, high = 0.0, min(1, longest / max(width, height))
    for _ in range(60):
        middle = (low + high) / 2
        fits = math.ceil(width * middle / 28) * math.ceil(height * middle / 28) <= most
        low, high = (middle, high) if fits else (low, middle)
    return math.ceil(width * low / 28) * math.ceil(height * low / 28)


def anthropic_area(width: float, height: float) -> float:
    fit = min(1, 1_568 / max(width, height), math.sqrt(1_600 * 750 / (width * height)))
    return width * fit * height * fit / 750


def bound(provider: Provider, model: str, detail: str | None = None) -> int:
    pictures = Pictures(provider, model)
    assert pictures.take_data("image/png", DATA, detail)
    return pictures.tokens - AROUND


def test_the_published_examples_come_out_of_the_formulas_they_are_held_against() -> None:
    assert openai_tiles(1_024, 1_024, 85, 170) == 765
    assert openai_tiles(2_048, 4_096, 85, 170) == 1_105
    assert openai_patches(1_024, 1_024, 1_536, 2_048, 1) == 1_024
    assert openai_patches(1_800, 2_400, 1_536, 4_000, 1) == 1_452
    assert anthropic_patches(1_920, 1_080, 2_576, 4_784) == 2_691
    assert anthropic_patches(200, 200, 1_568, 1_568) == 64


@given(SIZES)
def test_no_picture_has_more_tokens_than_its_bound(size: tuple[int, int]) -> None:
    for model, base, tile in [("gpt-4o", 85, 170), ("gpt-4o-mini", 2_833, 5_667), ("gpt-5", 70, 140), ("o3", 75, 150)]:
        assert openai_tiles(*size, base, tile) <= bound(OPENAI, model)
    for model, multiplier in [("gpt-5-mini", 1.62), ("gpt-4.1-nano", 2.46), ("o4-mini", 1.72)]:
        for budget in (1_536, 6_144):
            assert openai_patches(*size, budget, 2_048, multiplier) <= bound(OPENAI, model)
    assert openai_patches(*size, 30_000, 65_535, 1.2) <= bound(OPENAI, "gpt-5.6-sol")
    assert anthropic_patches(*size, 1_568, 1_568) <= bound(ANTHROPIC, "claude-haiku-4-5")
    assert anthropic_area(*size) <= bound(ANTHROPIC, "claude-3-haiku-20240307") + 1e-6
    assert anthropic_patches(*size, 2_576, 4_784) <= bound(ANTHROPIC, "claude-opus-4-7")


def test_little_detail_has_a_bound_of_its_own_where_it_has_a_figure() -> None:
    assert bound(OPENAI, "gpt-4o", "low") == 85
    assert bound(OPENAI, "gpt-4o-mini", "low") == 2_833
    assert bound(OPENAI, "gpt-5-mini", "low") == bound(OPENAI, "gpt-5-mini", "high")
    assert bound(GOOGLE, "gemini-2.5-flash", "MEDIA_RESOLUTION_LOW") == 258
    assert bound(GOOGLE, "gemini-3.5-flash", "MEDIA_RESOLUTION_LOW") == 2_240


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        (OPENAI, "gpt-4o-2024-05-13"), (OPENAI, "gpt-4.1"), (OPENAI, "gpt-5-2025-08-07"), (OPENAI, "gpt-6-astra"),
        (ANTHROPIC, "claude-sonnet-4-20250514"), (ANTHROPIC, "claude-3-5-haiku-latest"), (ANTHROPIC, "claude-sonnet-5-5"),
        (ANTHROPIC, "claude-fable-5-1"), (GOOGLE, "gemini-3-pro-preview"), (GOOGLE, "gemini-3.1-flash-lite"),
    ],
    ids=str,
)  # fmt: skip
def test_a_model_of_which_the_rule_is_published_takes_pictures(provider: Provider, model: str) -> None:
    assert 85 <= bound(provider, model) <= 50_000


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        (OPENAI, "gpt-5.1"), (OPENAI, "gpt-5.4"), (OPENAI, "gpt-6.1-sol"), (OPENAI, "gpt-4o-audio-preview"),
        (OPENAI, "GPT-4o"), (OPENAI, "gpt-4o-2024-05-1x"), (OPENAI, "o3-pro"), (OPENAI, "gpt-3.5-turbo"),
        (OTHER, "gpt-4o"), (ANTHROPIC, "claude-2"), (ANTHROPIC, "claude-opus-6"), (ANTHROPIC, "gpt-4o"),
        (GOOGLE, "gemini-2.5-flash"), (GOOGLE, "gemini-2.5-pro"), (GOOGLE, "gemini-4-argon"),
        (GOOGLE, "gemini-3.8-flash-tts"), (GOOGLE, "gemini-3-pro-image-preview"), (GOOGLE, "gemma-4-26b-a4b-it-maas"),
    ],
    ids=str,
)  # fmt: skip
def test_of_any_other_model_nothing_is_known(provider: Provider, model: str) -> None:
    pictures = Pictures(provider, model)
    assert not pictures.take_data("image/png", DATA, None)
    assert (pictures.count, pictures.tokens, pictures.data, pictures.actions) == (0, 0, 0, frozenset())


@pytest.mark.parametrize(
    "url",
    [
        None, 4, "", "http://example.com/a.png", "file:///etc/passwd", "ftp://example.com/a.png", "//example.com/a.png",
        "data:image/svg+xml;base64,AAAA", "data:image/tiff;base64,AAAA", "data:text/plain;base64,AAAA",
        "data:image/png,AAAA", "data:image/png;base64,<svg>", "data:image/png;base64,AA AA", "data:image/png;base64,é",
        "data:image/png;charset=x;base64,AAAA",
    ],
)  # fmt: skip
def test_what_is_no_plain_picture_has_no_bound(url: Any) -> None:
    assert not Pictures(OPENAI, "gpt-4o").take_url(url, None)


def test_more_pictures_than_the_provider_takes_are_refused() -> None:
    pictures = Pictures(ANTHROPIC, "claude-opus-5")
    assert all(pictures.take_url(HTTPS, None) for _ in range(600))
    with pytest.raises(CallRefused) as caught:
        pictures.take_url(HTTPS, None)
    assert (caught.value.code, "600" in caught.value.description) == ("invalid_request", True)


def chat(model: str, picture: dict[str, Any]) -> tuple[Provider, str, dict[str, Any]]:
    parts = [{"type": "text", "text": HELLO}, {"type": "image_url", "image_url": picture}]
    return OPENAI, "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": parts}]}


def response(model: str, picture: dict[str, Any]) -> tuple[Provider, str, dict[str, Any]]:
    parts = [{"type": "input_text", "text": HELLO}, {"type": "input_image"} | picture]
    return OPENAI, "/v1/responses", {"model": model, "input": [{"role": "user", "content": parts}]}


def message(model: str, source: dict[str, Any]) -> tuple[Provider, str, dict[str, Any]]:
    blocks = [{"type": "image", "source": source}, {"type": "text", "text": HELLO}]
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": blocks}]}
    return ANTHROPIC, "/v1/messages", body


def generate(model: str, part: dict[str, Any], **config: Any) -> tuple[Provider, str, dict[str, Any]]:
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": HELLO}, part]}]}
    return GOOGLE, f"/v1beta/models/{model}:generateContent", body | ({"generationConfig": config} if config else {})


def read(asked: tuple[Provider, str, dict[str, Any]]) -> Reading:
    provider, path, body = asked
    endpoint = DIALECTS[provider.dialect].endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(body, len(dumps(body)), provider, path)


BASE64 = {"type": "base64", "media_type": "image/jpeg", "data": DATA}
INLINE = {"inlineData": {"mimeType": "image/png", "data": DATA}}


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        (chat("gpt-4o", {"url": PNG}), 1_445),
        (chat("gpt-4o", {"url": HTTPS, "detail": "low"}), 85),
        (response("gpt-5-mini", {"image_url": PNG, "detail": "auto"}), 9_954),
        (response("gpt-5", {"image_url": HTTPS, "file_id": None}), 1_190),
        (message("claude-haiku-4-5", BASE64), 1_600),
        (message("claude-opus-5", {"type": "url", "url": HTTPS}), 4_784),
        (generate("gemini-3-flash-preview", INLINE), 2_240),
        (generate("gemini-3-flash-preview", INLINE | {"mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}}), 2_240),
        (generate("gemini-2.5-flash", INLINE, mediaResolution="MEDIA_RESOLUTION_MEDIUM"), 258),
    ],
)
def test_a_picture_needs_vision_and_is_held_at_its_tokens_rather_than_its_bytes(
    asked: tuple[Provider, str, dict[str, Any]], tokens: int
) -> None:
    found = read(asked)
    assert (found.unbounded, found.extra_actions) == ("", frozenset(["vision"]))
    text = len(dumps(asked[2])) - (len(DATA) if DATA in dumps(asked[2]).decode() else 0)
    assert tokens + text <= found.input_bound <= tokens + 11 * (text + 200) + 500
    sent = loads(found.render(9))
    assert isinstance(sent, dict)
    for name in ("messages", "input", "contents"):
        assert sent.get(name) == asked[2].get(name)


@pytest.mark.parametrize(
    ("asked", "file_id", "tokens"),
    [
        (response("gpt-4o", {"file_id": "file-1"}), "file-1", 1_445),
        (response("gpt-4o", {"file_id": "file-1", "detail": "low"}), "file-1", 85),
        (message("claude-opus-5", {"type": "file", "file_id": "file_1"}), "file_1", 4_784),
    ],
)
def test_a_picture_that_the_provider_keeps_needs_files_too_and_is_named(
    asked: tuple[Provider, str, dict[str, Any]], file_id: str, tokens: int
) -> None:
    found = read(asked)
    assert (found.unbounded, found.extra_actions) == ("", frozenset(["vision", "files"]))
    assert found.names == (Name("file", file_id),)
    assert tokens <= found.input_bound


def test_a_picture_in_a_tools_result_is_one_too() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": BASE64}]}
    body = {"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": [result]}]}
    assert read((ANTHROPIC, "/v1/messages", body)).extra_actions == {"vision"}
    output = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": PNG}]}
    assert read((OPENAI, "/v1/responses", {"model": "gpt-4o", "input": [output]})).extra_actions == {"vision"}


@pytest.mark.parametrize(
    "asked",
    [
        chat("gpt-5.1", {"url": PNG}),
        chat("gpt-4o", {"url": PNG, "detail": "huge"}),
        chat("gpt-4o", {"url": PNG, "fps": 4}),
        chat("gpt-4o", {"url": "http://10.0.0.1/"}),
        response("gpt-4o", {"image_url": PNG, "file_id": "file-1"}),
        response("gpt-5.1", {"file_id": "file-1"}),
        response("gpt-4o", {"file_id": 5}),
        message("claude-opus-5", {"type": "file", "file_id": "file_1", "more": 1}),
        message("claude-opus-5", BASE64 | {"media_type": "application/pdf"}),
        message("claude-opus-5", {"type": "url", "url": "http://example.com/a.png"}),
        generate("gemini-2.5-flash", INLINE),
        generate("gemini-2.5-flash", INLINE, mediaResolution="MEDIA_RESOLUTION_HIGH"),
        generate("gemini-3-flash-preview", {"inlineData": {"mimeType": "image/png", "data": DATA, "fps": 1}}),
    ],
)
def test_a_picture_without_a_rule_is_not_forwarded(asked: tuple[Provider, str, dict[str, Any]]) -> None:
    found = read(asked)
    assert found.unbounded
    assert "vision" in found.extra_actions


def test_a_file_that_is_no_picture_stays_what_it_was() -> None:
    found = read(generate("gemini-3-flash-preview", {"inlineData": {"mimeType": "application/zip", "data": DATA}}))
    assert (found.extra_actions, bool(found.unbounded)) == (frozenset(["files"]), True)


@given(SIZES, st.lists(st.sampled_from([PNG, HTTPS]), min_size=1, max_size=4), st.integers(0, 500))
def test_the_price_of_what_pictures_use_is_below_what_is_held(
    size: tuple[int, int], urls: list[str], written: int
) -> None:
    price = PriceBook().find("openai", "gpt-4o-mini", NOON)
    assert price is not None
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    body = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": HELLO}]}],
    }
    found = read((OPENAI, "/v1/chat/completions", body))
    used = len(HELLO) + sum(openai_tiles(*size, 2_833, 5_667) for _ in urls)
    assert price.cost(Usage(used, written)) <= price.worst_case(found.input_bound, written)
