"""How long a recording may last, by its bytes: never less than it does."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.providers.sound import most_seconds


def wav(
    seconds: int, hertz: int = 16_000, channels: int = 1, bits: int = 16, kind: int = 1, claimed: int | None = None
) -> bytes:
    data = b"\1" * (seconds * hertz * channels * bits // 8)
    rate = hertz * channels * bits // 8 if claimed is None else claimed
    form = struct.pack("<IHHIIHH", 16, kind, channels, hertz, rate, channels * bits // 8, bits)
    return b"RIFF\0\0\0\0WAVEfmt " + form + b"data" + struct.pack("<I", 5 if claimed else len(data)) + data


PCM = bytes.fromhex("0100000000001000800000AA00389B71")
PACKED = b"\x55" + PCM[1:]


def extensible(seconds: int, really: bytes) -> bytes:
    data = b"\1" * (seconds * 32_000)
    form = struct.pack("<IHHIIHHHHI", 40, 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4) + really
    return b"RIFF\0\0\0\0WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data


TAG = b"ID3\4\0\0\0\0\0\x64" + b"\xff\xfb\xe8\x00" * 25

# MPEG 1 layer III, 128 kbit/s, 44,100 Hz: 417 bytes of 1,152 samples.
FRAME = b"\xff\xfb\x90\x00" + b"\0" * 413


def ogg(*packets: bytes, stream: int = 0, begins: bool = False) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = b"OggS\0" + bytes([2 * begins]) + b"\0" * 8 + bytes([stream]) + b"\0" * 11
    return head + bytes([len(lacing)]) + lacing + b"".join(packets)


HEAD = ogg(b"OpusHead" + b"\0" * 11) + ogg(b"OpusTags")


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (wav(9), 10),
        (wav(9, hertz=44_100, channels=2), 10),
        (wav(9, bits=32, kind=3), 10),
        (wav(9, claimed=10**9), 10),
        (FRAME * 383, 11),
        (TAG + FRAME * 383, 11),
        (TAG + b"\0" * 999 + FRAME * 383 + b"TAG" + b"\0" * 125, 11),
        (FRAME * 100 + b"\0" * 5_000 + FRAME * 100, 50),
        (extensible(9, PCM), 10),
        (HEAD + ogg(*[b"\x78abc"] * 50), 2),
        (HEAD + ogg(*[b"\x1babc"] * 10), 2),
        ((HEAD + ogg(*[b"\x1babc"] * 10)) * 2, 3),
    ],
    ids=[
        "wav",
        "stereo",
        "floats",
        "a wav that claims less",
        "mp3",
        "mp3 with a tag",
        "mp3 with two tags and zeros",
        "mp3 with a gap",
        "wav of many channels",
        "opus",
        "opus, packed",
        "opus, twice",
    ],
)
def test_a_recording_lasts_no_longer_than_its_bytes_allow(data: bytes, seconds: int) -> None:
    assert most_seconds(data) == seconds


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF\0\0\0\0WAVE",
        wav(1, kind=2),
        wav(1) + b"fmt ",
        wav(1, bits=0),
        b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 1_000 + wav(1)[12:],
        wav(1, kind=0xFFFE),
        extensible(1, PACKED),
        b"\xff\xf1\x6c\x40" + b"\0" * 999,
        FRAME * 3 + b"\xff\xf1\x6c\x40" * 999,
        b"ID3\4\0\0\x7f\x7f\x7f\x7f" + FRAME * 383,
        HEAD + ogg(*[b""] * 255) * 1_000,
        b"fLaC" + b"\0" * 99,
        b"\0\0\0 ftypM4A " + b"\0" * 99,
        b"\x1aE\xdf\xa3webm",
        ogg(b"\1vorbis" + b"\0" * 30),
        HEAD + ogg(b"\x7fFLAC\1\0", stream=1, begins=True) + ogg(*[b"\xff\xf8\0"] * 99, stream=1),
        HEAD + ogg(b"\x7fFLAC\1\0", stream=1),
        HEAD + ogg(b"\x7fFLAC\1\0", begins=True),
        wav(0, hertz=2**32 - 1, claimed=1) + b"\1" * 999,
        wav(0, channels=32_000, claimed=1) + b"\1" * 999,
        wav(0, bits=65_528, claimed=1) + b"\1" * 999,
        b"plain text",
    ],
    ids=[
        "nothing",
        "no format",
        "packed",
        "two formats",
        "no bits",
        "nothing but chunks",
        "no sub-format",
        "mp3 as wav",
        "aac",
        "aac after mp3",
        "a tag of everything",
        "too many packets",
        "flac",
        "m4a",
        "webm",
        "vorbis",
        "flac beside opus",
        "flac beside opus, with no word of its beginning",
        "flac after opus",
        "a wav of four gigahertz",
        "a wav of too many channels",
        "a wav of too many bits",
        "no sound",
    ],
)
def test_what_may_last_for_hours_has_no_bound(data: bytes) -> None:
    assert most_seconds(data) is None


@given(st.lists(st.one_of(st.just(FRAME), st.binary(max_size=40)), max_size=60))
def test_noise_between_frames_never_makes_a_recording_shorter(pieces: list[bytes]) -> None:
    frames = sum(piece == FRAME for piece in pieces)
    found = most_seconds(FRAME * 16 + b"".join(pieces))
    assert found is not None
    assert found >= (frames + 16) * 1_152 / 44_100 - 1


def test_a_vast_recording_is_bounded_in_time() -> None:
    assert most_seconds(FRAME * 16 + b"\xff\xfb" * 4_000_000) == 8_001


def test_frames_within_other_frames_count_though_a_tag_leads_past_them() -> None:
    # 8 kbit/s at 8 kHz: 72 bytes of 72 ms. Every 1,440 bytes the header of a frame of 36 ms that would cover the next twenty.
    slow = b"\xff\xe3\x18\x00" + b"\0" * 68
    block = bytearray(slow * 20)
    block[36:40] = b"\xff\xfb\xe8\x00"
    tag = bytearray(110)
    tag[:10], tag[74:78] = b"ID3\4\0\0\0\0\0\x64", slow[:4]
    assert most_seconds(bytes(tag) + bytes(block) * 200) == 289


def test_pages_within_a_page_count_since_its_checksum_may_be_wrong() -> None:
    # 120 ms each
    within = b"".join(ogg(*[b"\x1a\x42"] * 255) for _ in range(80))
    assert len(within) < 65_024
    hidden = within.ljust(65_024, b"\0")
    found = most_seconds(HEAD + ogg(hidden))
    assert found is not None
    assert found >= 80 * 255 * 0.12
