"""How long a recording can last at most, by its bytes alone: what a header claims of its length counts for nothing.

WAV (RIFF, of PCM): all bytes after the header, at its rate. MPEG audio (ISO 11172-3, 13818-3): frame by frame, and what is
between frames at the lowest rate there is. Opus in Ogg (RFC 7845, RFC 6716 §3.1): packet by packet. Of other containers, such
as M4A, WebM and FLAC, a few bytes may last for hours, so that they have no bound.
"""

import struct
from collections.abc import Iterator

_PCM = (1, 3, 0xFFFE)
_LOWEST_RATE = 8_000
"""Bits a second of the slowest MPEG audio."""
_MOST_FRAMES = 40_000
"""Looked at one by one; a recording of more has the rest taken at the lowest rate."""
_KBITS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_OPUS_MS = (10, 20, 40, 60) * 3 + (10, 20) * 2 + (2.5, 5, 10, 20) * 4


def most_seconds(data: bytes) -> int | None:
    """None where nothing bounds it."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        seconds = _wav(data)
    elif data[:4] == b"OggS":
        seconds = _opus(data)
    elif data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        seconds = _mpeg(data)
    else:
        return None
    return None if seconds is None else int(seconds) + 1


def _wav(data: bytes) -> float | None:
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if name == b"fmt " and size >= 16 and place + 24 <= len(data):
            kind, channels, hertz, _, _, bits = struct.unpack_from("<HHIIHH", data, place + 8)
            frame = channels * bits // 8
            # Several formats, or one that packs more into a byte, could be read as something else.
            if kind not in _PCM or not frame or not hertz or data.count(b"fmt ") > 1:
                return None
            rate: int = frame * hertz
            return (len(data) - place) / rate
        place += 8 + size + size % 2
    return None


def _mpeg(data: bytes) -> float:
    place, seconds, between, frames = 0, 0.0, 0, 0
    while place + 4 <= len(data) and frames < _MOST_FRAMES:
        found = _frame(data, place)
        if found is None:
            # What is no frame here may be one for another reader.
            following = data.find(b"\xff", place + 1)
            following = len(data) if following < 0 else following
            between += following - place
            place = following
            frames += 1
        else:
            length, lasts = found
            place, seconds, frames = place + length, seconds + lasts, frames + 1
    return seconds + (between + max(0, len(data) - place)) * 8 / _LOWEST_RATE


def _frame(data: bytes, place: int) -> tuple[int, float] | None:
    """The length of a frame of layer III in bytes, and in seconds."""
    first, second, third = data[place], data[place + 1], data[place + 2]
    version, rate, hertz = second >> 3 & 3, third >> 4, third >> 2 & 3
    if first != 0xFF or second & 0xE6 != 0xE2 or version == 1 or rate in (0, 15) or hertz == 3:
        return None
    samples, kbits = (1_152, _KBITS[1]) if version == 3 else (576, _KBITS[2])
    per_second = _HERTZ[version][hertz]
    length = samples // 8 * kbits[rate - 1] * 1_000 // per_second + (third >> 1 & 1)
    return length, samples / per_second


def _opus(data: bytes) -> float | None:
    packets = _packets(data)
    if not next(packets, b"").startswith(b"OpusHead"):
        return None
    return sum(_opus_seconds(packet) for packet in packets)


def _packets(data: bytes) -> Iterator[bytes]:
    """The first bytes of each packet, in whichever stream it is."""
    place = 0
    while (place := data.find(b"OggS", place)) >= 0 and place + 27 <= len(data):
        lacing = data[place + 27 : place + 27 + data[place + 26]]
        place += 27 + len(lacing)
        size = 0
        for lace in lacing:
            size += lace
            if lace < 255:
                yield data[place : place + min(size, 16)]
                place, size = place + size, 0
        if size:
            yield data[place : place + 16]


def _opus_seconds(packet: bytes) -> float:
    if not packet:
        return 0.0
    count = packet[0] & 3
    frames = 1 if count == 0 else 2 if count < 3 else packet[1] & 63 if len(packet) > 1 else 0
    return min(_OPUS_MS[packet[0] >> 3] * frames, 120) / 1_000
