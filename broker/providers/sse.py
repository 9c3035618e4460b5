"""Server-sent events, split into their bytes without changing or delaying one."""

import re

_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class TooLong(Exception):
    """An event longer than any dialect sends."""


class EventSplitter:
    """Gives each event as the bytes it came in, its blank line with it, wherever the pieces were cut."""

    def __init__(self, longest: int = 4 * 1024 * 1024) -> None:
        self._pending = b""
        self._longest = longest

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events completed by this piece; raises TooLong."""
        data = self._pending + chunk
        events, start = [], 0
        for match in _END.finditer(data):
            events.append(data[start : match.end()])
            start = match.end()
        self._pending = data[start:]
        if len(self._pending) > self._longest:
            raise TooLong
        return events

    def rest(self) -> bytes:
        """What came after the last complete event."""
        rest, self._pending = self._pending, b""
        return rest


def data_of(event: bytes) -> bytes:
    """The data lines of an event, joined by newlines as the standard says; empty for a comment."""
    lines = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    values = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(values)
