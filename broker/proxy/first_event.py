"""The first thing a stream says, read before the app is told that there is a stream at all."""

from broker.core.strict_json import JSONValue, NotStrict, loads_answer
from broker.providers.answer import Answer
from broker.providers.sse import EventSplitter, data_of

_PING = b'"ping"'
LONGEST = 65_536
"""Bytes that may wait for it; whoever sends more pings than that has not refused the call."""


async def first_event(answer: Answer) -> JSONValue:
    """The data of the first event that is no ping, None if it is not JSON or late; all that was read can be read again.

    Raises what reading raises, and TooLong.
    """
    splitter, read = EventSplitter(), b""
    async for piece in answer.chunks():
        read += piece
        data = next((data for event in splitter.feed(piece) if (data := _said(event))), b"")
        if data or len(read) > LONGEST:
            answer.unread(read)
            return _parse(data)
    answer.unread(read)
    return _parse(_said(splitter.rest()))


def _said(event: bytes) -> bytes:
    data = data_of(event)
    return b"" if len(data) < 64 and _PING in data else data


def _parse(data: bytes) -> JSONValue:
    try:
        return loads_answer(data)
    except NotStrict:
        return None
