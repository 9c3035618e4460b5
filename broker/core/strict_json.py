"""JSON that has one reading only: no key twice, no NaN, no lone surrogate, bounded depth and number of values."""

import json
import math
from collections.abc import Callable
from itertools import accumulate
from typing import Never

JSONValue = None | bool | int | float | str | list["JSONValue"] | dict[str, "JSONValue"]

Scan = Callable[[str, int], tuple[JSONValue, int]]
"""Reads one value that begins at a place of a text; gives it, and where it ends."""

MAX_DEPTH = 64
MAX_VALUES = 200_000
"""Reading millions of small values would keep a whole worker from everything else, its lease among it."""

_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""A bracket as a signed byte: one deeper, or one less."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


class NotStrict(ValueError):
    """The text is not JSON, or JSON that two readers could understand in two ways."""


def loads(raw: bytes) -> JSONValue:
    """Parses UTF-8 bytes strictly; raises NotStrict with a reason for the log."""
    return _loads(raw, _scan, for_sending=True)


def loads_answer(raw: bytes) -> JSONValue:
    """As `loads`, of an answer that is passed on as it came: of two equal keys the last counts, here as for its reader."""
    return _loads(raw, _scan_answer, for_sending=False)


def _loads(raw: bytes, scan: Scan, *, for_sending: bool) -> JSONValue:
    try:
        text = raw.decode("utf-8")
        if _may_be_vast(raw):
            _check_shape(raw)
        value = _read(scan, text)
        if for_sending and "\\u" in text:
            # A lone surrogate passes the decoder and then cannot be sent on as UTF-8.
            _encoder.encode(value).encode("utf-8")
    except NotStrict:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrict(type(error).__name__) from error
    return value


def dumps(value: object) -> bytes:
    """Compact UTF-8, in the order given."""
    return _encode(value).encode("utf-8")


def _unique(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise NotStrict("a key stands twice")
    return unique


def _no_constant(name: str) -> Never:
    raise NotStrict(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotStrict("a number is too large")
    return number


def _read(scan: Scan, text: str) -> JSONValue:
    text = text.strip(" \t\n\r")
    try:
        value, end = scan(text, 0)
    except StopIteration:
        raise NotStrict("no value") from None
    if end != len(text):
        raise NotStrict("more than one value")
    return value


# Made once: what json.loads and json.dumps make for each value costs as much as reading a small one.
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
_scan = _decoder.scan_once  # type: ignore[attr-defined] # what `decode` itself calls, without its regular expressions
_scan_answer = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite).scan_once  # type: ignore[attr-defined]
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _encoding() -> Callable[[object], str]:
    """What `_encoder.encode` makes anew for each value; it looks for no circle, and nothing that was parsed has one."""
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined] # as above: what `encode` itself uses
    if make is None:
        return _encoder.encode
    write = json.encoder.c_encode_basestring  # type: ignore[attr-defined]
    pieces = make(None, _encoder.default, write, None, ":", ",", False, False, False)
    return lambda value: "".join(pieces(value, 0))


_encode = _encoding()


def _may_be_vast(raw: bytes) -> bool:
    return raw.count(b"[") + raw.count(b"{") > MAX_DEPTH or (len(raw) > MAX_VALUES and raw.count(b",") > MAX_VALUES)


def _check_shape(raw: bytes) -> None:
    """Of JSON. What is none may pass, up to where the scanner finds that, which is all that it reads of it."""
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    # A member has at most two strings; more than there may be are not even taken apart.
    if plain.count(b'"') > 4 * (MAX_VALUES + 1):
        raise NotStrict("too many values")
    outside = b"".join(plain.split(b'"')[::2])
    if outside.count(b"[") + outside.count(b"{") + outside.count(b",") > MAX_VALUES:
        raise NotStrict("too many values")
    steps = memoryview(outside.translate(_STEPS, _NO_BRACKETS)).cast("b")
    if max(accumulate(steps), default=0) > MAX_DEPTH:
        raise NotStrict("nested too deeply")
