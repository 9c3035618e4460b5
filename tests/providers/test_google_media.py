"""Pictures, recordings, films and documents in a request to Gemini: how each is bounded, and where it is refused."""

import struct
from base64 import b64encode
from typing import Any

import pytest

from broker.core.extras import Extras
from broker.core.strict_json import dumps
from broker.providers.dialect import Name, Reading
from broker.providers.google import Google
from broker.providers.registry import Provider
from tests.providers.test_google_request import GOOGLE, OTHER, read


def recording(data: bytes = b"", kind: str = "audio/wav", hertz: int = 1_000) -> dict[str, Any]:
    head = b"RIFF____WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, hertz, hertz, 1, 8) + b"data____"
    told = b64encode(head + (data or bytes(3_000))).decode()
    return {"inlineData": {"mimeType": kind, "data": told}}


def heard(*parts: dict[str, Any], model: str = "gemini-2.5-flash", provider: Provider = GOOGLE) -> Reading:
    asked: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}, *parts]}]}
    path = f"/v1beta/models/{model}:generateContent"
    endpoint = Google().endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(asked, len(dumps(asked)), provider, path)


def test_a_recording_is_held_at_what_it_can_last_and_not_by_its_bytes() -> None:
    found = heard(recording())
    assert (found.unbounded, found.extra_actions) == ("", frozenset(["audio"]))
    # Three seconds and their header, so four, of 32 tokens, and 16 around them.
    assert found.most == Extras(input_audio_tokens=4 * 32 + 16)
    longer = heard(recording(bytes(6_000)))
    assert longer.input_bound - found.input_bound == 3 * 32
    assert heard(recording(), recording()).most == Extras(input_audio_tokens=2 * 144)


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "audio/wav"}}, recording() | {"videoMetadata": {}}, recording(kind="audio/a\n"),
    ],
    ids=["no data", "a piece of it", "no kind"],
)  # fmt: skip
def test_a_recording_without_a_bound_is_refused(part: dict[str, Any]) -> None:
    assert heard(part).unbounded


PAGES = {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjc="}}


def test_a_document_is_held_at_the_whole_context_and_needs_files() -> None:
    for part in (PAGES, {"inlineData": {"mimeType": "text/csv", "data": "YQ=="}}):
        found = heard(part)
        assert (found.unbounded, found.extra_actions, found.input_bound) == ("", frozenset(["files"]), 1_048_576)
        assert found.covers_reasoning
    kept = {
        "fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/f1", "mimeType": "text/plain"}
    }
    assert heard(kept).names == (Name("file", "f1#document"),)
    assert heard(kept).input_bound == 1_048_576


def test_a_document_is_refused_where_no_context_is_known_or_it_is_none_of_ones_own() -> None:
    assert heard(PAGES, model="gemini-3.8-flash").unbounded
    assert heard(PAGES, provider=OTHER).unbounded
    for uri in (
        "gs://bucket/a", "https://generativelanguage.googleapis.com/v1beta/files/../f1", "https://evil.test/v1beta/files/f1",
        "http://generativelanguage.googleapis.com/v1beta/files/f1", "https://generativelanguage.googleapis.com/v1beta/files/f1?x", None,
    ):  # fmt: skip
        for kind in ("text/plain", "image/png"):
            assert heard({"fileData": {"fileUri": uri, "mimeType": kind}}, model="gemini-3-flash-preview").unbounded


@pytest.mark.parametrize(
    "part",
    [
        recording(kind="audio/flac"), recording(kind="audio/aac"), {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklG=RtwL"}},
    ],
    ids=["flac", "aac", "no recording", "base64 with two readings"],
)  # fmt: skip
def test_a_recording_of_which_nobody_knows_how_long_it_lasts_is_held_at_the_whole_context(part: dict[str, Any]) -> None:
    found = heard(part)
    assert (found.unbounded, found.extra_actions) == ("", frozenset(["audio"]))
    assert (found.input_bound, found.most) == (1_048_576, Extras(input_audio_tokens=1_048_576))


def test_a_film_is_held_as_if_all_of_it_were_sound() -> None:
    film = {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}
    found = heard(film)
    assert (found.unbounded, found.extra_actions) == ("", frozenset(["vision"]))
    assert (found.input_bound, found.most) == (1_048_576, Extras(input_audio_tokens=1_048_576))
    picture = {
        "fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/f1", "mimeType": "image/png"}
    }
    together = heard(film, picture, model="gemini-3-flash-preview")
    assert together.extra_actions == frozenset(["vision", "files"])
    assert heard(film, PAGES).extra_actions == frozenset(["vision", "files"])
    kept = {
        "fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/f1", "mimeType": "audio/mp4"}
    }
    assert heard(kept).names == (Name("file", "f1#sounding"),)
    assert heard(kept).extra_actions == frozenset(["audio", "files"])
    assert heard(film, model="gemini-4-argon").unbounded


def test_sound_is_heard_by_models_alone_of_which_that_is_published() -> None:
    for model in ("gemini-2.5-flash-lite", "gemini-2.5-pro", "gemini-3-flash-preview", "gemini-3.1-flash-lite"):
        assert heard(recording(), model=model).unbounded == ""
    for model in ("gemini-2.5-flash-image", "gemma-3-27b-it", "gemini-embedding-2"):
        assert heard(recording(), model=model).unbounded
    assert heard(recording(), provider=OTHER).unbounded


def drawn(**config: Any) -> Reading:
    return read(path="/v1beta/models/gemini-2.5-flash-image:generateContent", generationConfig=config)


def test_a_model_that_draws_is_held_at_all_that_it_can_give() -> None:
    for found in (drawn(), drawn(responseModalities=["IMAGE"]), drawn(imageConfig={"aspect_ratio": "1:1"})):
        assert (found.unbounded, found.extra_actions, found.covers_reasoning) == ("", frozenset(["images"]), False)
    assert drawn(imageConfig={"imageSize": "4K"}).unbounded.endswith("generationConfig.imageConfig.")
    assert drawn(responseModalities=["AUDIO"]).unbounded
    assert read(OTHER, "/v1beta/models/gemini-2.5-flash-image:generateContent").unbounded
    assert read(path="/v1beta/models/gemini-3-pro-image-preview:generateContent").unbounded
