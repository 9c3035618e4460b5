"""The official openai SDK, unmodified: pictures and sound, through a real server on loopback."""

import io
import struct
from typing import Any

import openai
import pytest

from tests.fake_media import PICTURE, SOUND
from tests.sdk.test_openai_sdk import Place, place, spent
from tests.serve.installation import Granted

__all__ = ["place"]

# Nine seconds of silence: 8,000 samples a second of two bytes.
_SILENCE = b"\0" * (9 * 16_000)
WAV = b"RIFF" + struct.pack("<I", 36 + len(_SILENCE)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 16_000, 2, 16) + b"data" + struct.pack("<I", len(_SILENCE)) + _SILENCE  # fmt: skip
MODELS = ["gpt-image-1", "tts-1", "whisper-1", "gpt-4o-transcribe"]


@pytest.fixture
def able(place: Place) -> Granted:
    return place.installation.grant(models=MODELS, actions=["images", "audio"])


def recording() -> tuple[str, io.BytesIO]:
    return "my recording.wav", io.BytesIO(WAV)


def test_a_picture_is_drawn_and_drawn_anew(place: Place, able: Granted) -> None:
    with place.client(able) as client:
        drawn = client.images.generate(model="gpt-image-1", prompt="A cat", size="1024x1024", quality="low")
        edited = client.images.edit(
            model="gpt-image-1",
            prompt="A hat",
            image=[("a.png", b"x"), ("b.png", b"y")],
            mask=("m.png", b"z"),
            quality="low",
        )
    assert drawn.data is not None
    assert edited.data is not None
    assert drawn.data[0].b64_json == edited.data[0].b64_json == PICTURE
    # 50 tokens of text at $5, 323 of pictures at $10, twice 272 drawn at $40 a million.
    assert spent(place, able) == 250 + 10_880 + 250 + 3_230 + 10_880


def test_a_picture_comes_in_parts(place: Place, able: Granted) -> None:
    with place.client(able) as client:
        events = list(
            client.images.generate(model="gpt-image-1", prompt="A cat", quality="low", stream=True, partial_images=1)
        )
        edits = list(
            client.images.edit(model="gpt-image-1", prompt="A hat", image=("a.png", b"x"), quality="low", stream=True)
        )
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert [event.type for event in edits] == ["image_edit.partial_image", "image_edit.completed"]
    assert spent(place, able) == 250 + 10_880 + 250 + 3_230 + 10_880


def test_a_text_is_spoken(place: Place, able: Granted) -> None:
    with place.client(able) as client:
        assert client.audio.speech.create(model="tts-1", voice="alloy", input="Hello there").content == SOUND
        with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="Hello") as stream:
            assert b"".join(stream.iter_bytes()) == SOUND
    # 11 and 5 characters at $15 a million.
    assert spent(place, able) == 165 + 75


def test_a_recording_is_written_down(place: Place, able: Granted) -> None:
    with place.client(able) as client:
        by_second = client.audio.transcriptions.create(model="whisper-1", file=recording())
        as_text: Any = client.audio.transcriptions.create(model="whisper-1", file=recording(), response_format="text")
        with pytest.warns(DeprecationWarning, match="deprecated"):
            translated = client.audio.translations.create(model="whisper-1", file=recording())
        by_token = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=recording(), language="en")
        events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=recording(), stream=True))
    assert by_second.text == translated.text == by_token.text == as_text == "Hello."
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    # 9 seconds at $0.36 an hour, twice; as text nothing is told, and its bytes may be 10. Twice 10 tokens of text at $2.50,
    # 14 of sound at $6 and 5 written at $10 a million.
    assert spent(place, able) == 900 + 1_000 + 900 + 2 * (25 + 84 + 50)


async def test_the_same_in_async_code(place: Place, able: Granted) -> None:
    async with place.async_client(able) as client:
        drawn = await client.images.generate(model="gpt-image-1", prompt="A cat", quality="low")
        spoken = await client.audio.speech.create(model="tts-1", voice="alloy", input="Hello")
        heard = await client.audio.transcriptions.create(model="gpt-4o-transcribe", file=recording())
        edited = await client.images.edit(model="gpt-image-1", prompt="A hat", image=("a.png", b"x"), quality="low")
    assert drawn.data is not None
    assert edited.data is not None
    assert (spoken.content, heard.text) == (SOUND, "Hello.")


@pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-1.5"])
def test_pictures_without_a_bound_or_a_price_are_refused(place: Place, model: str) -> None:
    granted = place.installation.grant(models=[model], actions=["images"])
    with place.client(granted) as client, pytest.raises(openai.PermissionDeniedError) as refused:
        client.images.generate(model=model, prompt="A cat")
    assert refused.value.code == ("no_price" if model == "dall-e-3" else "not_boundable")


def test_pictures_and_sound_need_actions_of_their_own(place: Place) -> None:
    granted = place.installation.grant(models=MODELS)
    with place.client(granted) as client:
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.images.generate(model="gpt-image-1", prompt="A cat")
        assert refused.value.code == "action_not_granted"
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.audio.transcriptions.create(model="whisper-1", file=recording())
        assert refused.value.code == "action_not_granted"
