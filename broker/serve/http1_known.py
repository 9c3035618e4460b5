"""Requests whose head came before, byte for byte but for token and length: what an app made of it, it need not make again."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from broker.serve.http1_head import Framing, RawHeaders

if TYPE_CHECKING:
    from broker.serve.http1_request import Request

MOST_KNOWN = 10_000
LONGEST = 2048
"""Bytes of a head, without its token, that is kept."""

Keep = Callable[["Begin"], None]
"""Takes what begins the requests with the head that was just read."""

Begin = Callable[[bytes, bytes, "Request"], bool]
"""Is given token, body and the request to answer; False where this one has to be read, and nothing was begun."""

_SHOWN = re.compile(rb"\r\n(?:authorization:[ \t]*bearer |x-api-key:[ \t]*|x-goog-api-key:[ \t]*)", re.IGNORECASE)
_OF_TOKENS = bytes(range(0x21, 0x7F))
MOST_OF_TOKEN = 4096
_NOTHING = b"\0"
"""Stands where something was cut out: no head has it."""
_LENGTH = re.compile(rb"\r\n(?:content-length|Content-Length): ([1-9][0-9]{0,7})\r\n")


class Heads:
    """The heads of which an app has said how the requests with them begin."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Begin] = {}

    def begin(self, name: bytes) -> Begin | None:
        return self._known.get(name)

    def keep(self, name: bytes, begin: Begin) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[name] = begin


class Seen(NamedTuple):
    """A head that came in one piece, and nothing behind its body; of that, as much as there is may have come."""

    name: bytes
    """Its head without its token and the figure of its length: a library writes one for all who use it."""
    token: bytes
    """Empty where none is shown as most are."""
    body_at: int
    length: bytes
    lines: int

    @property
    def end(self) -> int:
        return self.body_at + int(self.length)

    def is_of(self, headers: RawHeaders, framing: Framing) -> bool:
        """Whether the parser has read the same head: as many lines, and this length."""
        return (
            self.lines == len(headers) + 1 and framing.line == b"content-length: " + self.length and not framing.expects
        )


def see(data: bytes) -> Seen | None:
    """None of what has no plain length, or came with more behind it."""
    end = data.find(b"\r\n\r\n") + 2
    found = _LENGTH.search(data, 0, end) if end > 2 else None
    if found is None or end + 2 + int(found[1]) < len(data):
        return None
    before, after = found.span(1)
    shown = _SHOWN.search(data, 0, end)
    if shown is None:
        name, token = _NOTHING.join((data[:before], data[after:end])), b""
    else:
        start, stop = shown.end(), data.find(b"\r\n", shown.end(), end)
        token = data[start:stop]
        if len(token) > MOST_OF_TOKEN or token.translate(None, _OF_TOKENS):
            return None  # what it is, the parser says
        first, second = sorted(((start, stop), (before, after)))
        name = _NOTHING.join((data[: first[0]], data[first[1] : second[0]], data[second[1] : end]))
    return Seen(name, token, end + 2, found[1], data.count(b"\n", 0, end))
