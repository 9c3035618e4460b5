"""How long a recording can last at most, by its bytes alone: what a header claims of its length counts for nothing.

WAV (RIFF, of PCM): all bytes after the header, at its rate. MPEG audio (ISO 11172-3, 13818-3): frame by frame, as long as each
follows the one before it, and from then on at the lowest rate there is. Opus in Ogg (RFC 7845, RFC 6716 §3.1): packet by packet,
of all that could be a page, since a reader drops those with a wrong checksum and looks for others within them (RFC 3533 §6), and
only where no stream of another kind stands beside it, which a reader might take. Of other containers, such as M4A, WebM and FLAC,
a few bytes may last for hours, so that they have no bound.
"""

import struct
from collections.abc import Iterator

_PCM, _EXTENSIBLE = (1, 3), 0xFFFE
_SUB_FORMATS = tuple(bytes([kind]) + bytes.fromhex("0000000000 1000 8000 00AA00389B71") for kind in _PCM)
"""What such a header says a second time, where it says what it is really of (KSDATAFORMAT_SUBTYPE_PCM and _IEEE_FLOAT)."""
_LOWEST_RATE = 8_000
"""Bits a second of the slowest MPEG audio."""
_LEAST_FRAMES = 16
"""In a row, before what else is in a recording is taken for MPEG audio, too, and not for something that lasts longer."""
_MOST_PACKETS = 200_000
"""Looked at one by one; a recording of more has no bound, since any byte of it may be a packet."""
_MOST_HERTZ, _MOST_CHANNELS, _MOST_BITS = 192_000, 8, 64
"""Of a WAV file that is one: beyond them readers take other figures than those that it claims."""
_MOST_CHUNKS = 1_000
"""Before the one that says what a WAV file is of."""
MOST_FRAMES = 40_000
"""Looked at one by one; a recording of more has the rest taken at the lowest rate."""
_KBITS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_BEGINS = 2
"""The flag of a page with which a stream begins (RFC 3533 §6)."""
_OPUS_MS = (10, 20, 40, 60) * 3 + (10, 20) * 2 + (2.5, 5, 10, 20) * 4


def most_seconds(data: bytes, frames: int = MOST_FRAMES) -> int | None:
    """None where nothing bounds it; so many `frames` of MPEG audio are looked at."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        seconds = _wav(data)
    elif data[:4] == b"OggS":
        seconds = _opus(data)
    elif data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        seconds = _mpeg(data, frames)
    else:
        return None
    return None if seconds is None else int(seconds) + 1


def _wav(data: bytes) -> float | None:
    place = 12
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(data):
            break
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if name == b"fmt " and size >= 16 and place + 24 <= len(data):
            kind, channels, hertz, _, _, bits = struct.unpack_from("<HHIIHH", data, place + 8)
            frame = channels * bits // 8
            # Several formats, or one that packs more into a byte, could be read as something else.
            if (
                not (kind in _PCM or _is_extended(kind, data[place + 8 : place + 8 + size]))
                or not frame
                or not 0 < hertz <= _MOST_HERTZ
                or channels > _MOST_CHANNELS
                or bits > _MOST_BITS
                or data.count(b"fmt ") > 1
            ):
                return None
            rate: int = frame * hertz
            return (len(data) - place) / rate
        place += 8 + size + size % 2
    return None


def _is_extended(kind: int, form: bytes) -> bool:
    return kind == _EXTENSIBLE and len(form) == 40 and form[24:] in _SUB_FORMATS


def _mpeg(data: bytes, most: int) -> float | None:
    """Another reader may find other frames in what follows a gap, and within frames that are not of the same kind."""
    place = _after_tag(data)
    like, seconds, frames = data[place + 1 : place + 3], 0.0, 0
    while place + 4 <= len(data) and frames < most and _is_like(like, data[place + 1 : place + 3]):
        found = _frame(data, place)
        if found is None:
            break
        place, seconds, frames = place + found[0], seconds + found[1], frames + 1
    rest = max(0, len(data) - place)
    return None if not frames or (rest and frames < _LEAST_FRAMES) else seconds + rest * 8 / _LOWEST_RATE


def _after_tag(data: bytes) -> int:
    """Where the frames begin: behind a tag (ID3v2 §3.1) and the zeros that may follow it."""
    if data[:3] != b"ID3" or len(data) < 10 or 0xFF in data[3:5] or any(byte & 0x80 for byte in data[6:10]):
        return 0
    size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]
    place = 10 + size + (10 if data[5] & 0x10 else 0)
    return len(data) - len(data[place:].lstrip(b"\0"))


def _is_like(first: bytes, other: bytes) -> bool:
    """Whether two headers are of the same version and sampling rate."""
    return first[0] | 1 == other[0] | 1 and first[1] & 0x0C == other[1] & 0x0C


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
    seconds = 0.0
    for count, (packet, begins) in enumerate(_packets(data)):
        if count == _MOST_PACKETS or (begins and not packet.startswith(b"OpusHead")):
            return None
        seconds += 0.0 if begins else _opus_seconds(packet)
    return seconds


def _packets(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """The first bytes of each packet, in whichever stream it is, and whether one begins with it; after each page nothing."""
    page, streams = 0, set[bytes]()
    while (page := data.find(b"OggS", page)) >= 0 and page + 27 <= len(data):
        lacing = data[page + 27 : page + 27 + data[page + 26]]
        place, size = page + 27 + len(lacing), 0
        stream = data[page + 14 : page + 18]
        begins = data[page + 5] & _BEGINS > 0 or stream not in streams
        streams.add(stream)
        page += 4
        for lace in lacing:
            size += lace
            if lace < 255:
                yield data[place : place + min(size, 16)], begins
                place, size, begins = place + size, 0, False
        yield data[place : place + 16] if size else b"", begins


def _opus_seconds(packet: bytes) -> float:
    if not packet:
        return 0.0
    count = packet[0] & 3
    frames = 1 if count == 0 else 2 if count < 3 else packet[1] & 63 if len(packet) > 1 else 0
    return min(_OPUS_MS[packet[0] >> 3] * frames, 120) / 1_000
