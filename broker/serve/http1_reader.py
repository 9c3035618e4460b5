"""Bytes to heads, bodies and refusals: llhttp in its strict mode, and what it lets through that is refused here."""

from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from broker.serve.http1_head import (
    LARGE_HEAD,
    LONG_LINE,
    MALFORMED,
    MOST_LINE,
    Framing,
    RawHeaders,
    Refusal,
    judge,
    refusal_of,
)

SLICE = 16_384
"""The most that is to be fed at once: the parser cannot be stopped between two requests."""


class Sink(Protocol):
    def head_came(
        self, method: bytes, version: str, target: bytes, headers: RawHeaders, framing: Framing, *, last: bool
    ) -> None: ...
    def piece_came(self, piece: bytes) -> None: ...
    def body_ended(self) -> None: ...
    def was_refused(self, refusal: Refusal) -> None: ...


class _Refused(Exception):
    """Stops the parser; the refusal is kept beside it."""


class _BodyOnly:
    """Reads one body for a reader whose parser stopped at an upgrade that is not made."""

    def __init__(self, reader: "Reader") -> None:
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete


class Reader:
    __slots__ = (
        "_fruitless", "_headers", "_last", "_most_bytes", "_parser", "_refusal", "_sink", "_target", "_upgrading",
        "deaf", "in_head",
    )  # fmt: skip

    def __init__(self, sink: Sink, most_bytes: int) -> None:
        self._sink = sink
        self._most_bytes = most_bytes
        self._parser = HttpRequestParser(self)
        self.in_head = False
        self.deaf = False
        """Nothing that still comes is a request."""
        self._target = b""
        self._headers: RawHeaders = []
        self._last = False
        self._refusal: Refusal | None = None
        self._upgrading: Framing | None = None
        self._fruitless = 0
        """Bytes since the last whole head, or piece of a body: extensions of chunks and trailers have no end of their own."""

    def feed(self, data: bytes) -> None:
        rest = data
        while rest and not self.deaf:
            rest = self._feed(rest)

    def _feed(self, data: bytes) -> bytes:
        """Gives back what the parser stopped before."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._stay()
            return data[upgrade.args[0] :]
        except HttpParserError as error:
            # After the last request of a connection, the parser takes no more, and that is no fault.
            if not self.deaf:
                self._refuse(self._refusal or refusal_of(error))
            return b""
        self._fruitless += len(data)
        if self._fruitless > self._most_bytes + MOST_LINE + SLICE and not self.deaf:
            self._refuse(self._what_has_no_end())
        return b""

    def _what_has_no_end(self) -> Refusal:
        if not self.in_head:
            return MALFORMED
        return LONG_LINE if len(self._target) > MOST_LINE else LARGE_HEAD

    def _refuse(self, refusal: Refusal) -> None:
        self.deaf = True
        self._sink.was_refused(refusal)

    def _stay(self) -> None:
        """RFC 9110 §7.8: "A server MAY ignore a received Upgrade header field"; the parser has to be told."""
        framing, self._upgrading = self._upgrading, None
        if framing is not None and framing.line:
            self._parser = HttpRequestParser(_BodyOnly(self))
            self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing.line + b"\r\n\r\n")
        else:
            self._parser = HttpRequestParser(self)
            self.on_message_complete()

    # Called by the parser

    def on_message_begin(self) -> None:
        self.in_head, self._target, self._headers = True, b"", []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # else it is a trailer, which nobody may take for more than that
            self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        parser = self._parser
        method, version, upgrades = parser.get_method(), parser.get_http_version(), parser.should_upgrade()
        framing = judge(method, version, self._target, self._headers, self._most_bytes, upgrades=upgrades)
        if isinstance(framing, Refusal):
            self._refusal = framing
            raise _Refused
        self.in_head, self._fruitless = False, 0
        # A program that speaks HTTP/1.0 may count on the end of the connection; and where an upgrade with a body is not made,
        # there is no parser for what follows the body.
        self._last = version != "1.1" or not parser.should_keep_alive()
        if upgrades:
            self._upgrading = framing
            self._last = self._last or framing.line != b""
        self._sink.head_came(method, version, self._target, self._headers, framing, last=self._last)

    def on_body(self, body: bytes) -> None:
        self._fruitless = 0
        self._sink.piece_came(body)

    def on_message_complete(self) -> None:
        if self._upgrading is None:  # else the parser passes over the body, as it would be another protocol's
            self._fruitless = 0
            self.deaf = self._last
            self._sink.body_ended()
