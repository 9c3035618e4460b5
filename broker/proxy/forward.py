"""Reservation to reply: the real key is put in at the last moment, and the usage is read on the way past."""

from collections.abc import Awaitable
from typing import NamedTuple

from broker.core.clock import Clock
from broker.core.errors import CallRefused
from broker.core.secret import Secret
from broker.core.strict_json import JSONValue, NotStrict, loads_answer
from broker.core.usage import NO_USAGE, Usage
from broker.ledger.reserve import Reservation
from broker.ledger.settle import Ending
from broker.providers.check import credential_headers
from broker.providers.client import Answer, Broken, Headers, NotReached, Progress, ProviderClient, TimedOut
from broker.providers.dialect import Dialect, Endpoint, Meter, Reading
from broker.providers.fault import UNWELL, Fault, fault_of, status_in_stream
from broker.providers.registry import Provider
from broker.providers.sse import TooLong
from broker.proxy.answer import KeyGuard, is_media_type, passed_headers, scrub
from broker.proxy.channel import Channel, Head
from broker.proxy.first_event import first_event
from broker.proxy.kept import Keeper
from broker.proxy.passing import KeyFound, Passing
from broker.proxy.reply import (
    EVENTS,
    JSON,
    STREAM,
    Reply,
    begun_headers,
    by_usage,
    failed,
    garbage,
    is_plain,
    is_stream,
    not_noted,
    read_whole,
    stream_ending,
)

LONGEST_JSON = 32 * 1024 * 1024
LONGEST_DRAIN = 2 * 1024 * 1024
"""Bytes read for the usage of a call whose app has left."""

_DID_NOT_RUN = frozenset([*range(400, 500), 500, 503, 529])
"""With a complete error in the dialect's own shape, before any content: the provider says that it did not run."""

_JSON: Headers = [(b"content-type", JSON), (b"accept", JSON)]
_EVENTS: Headers = [(b"content-type", JSON), (b"accept", EVENTS)]


def _accepted(reading: Reading) -> Headers:
    """What is sent, and what may come back."""
    if reading.content_type == JSON and not reading.gives and reading.method == "POST":
        return _EVENTS if reading.streamed else _JSON
    wanted = [EVENTS] if reading.streamed else [JSON, *sorted(reading.gives)]
    sent = [(b"content-type", reading.content_type)] if reading.method == "POST" else []
    return [*sent, (b"accept", b", ".join(wanted))]


class Work(NamedTuple):
    """One call on its way: what is sent where, and how its answer is read."""

    provider: Provider
    dialect: Dialect
    endpoint: Endpoint
    reading: Reading
    headers: Headers
    """Of the app's, those that cross."""
    credential_id: str = ""
    """The one it has to go with, since it names what is kept at the provider with it."""


class Sent(NamedTuple):
    """An attempt that was begun already: with which key, and its answer as far as it came, or why there is none."""

    key: Secret
    answer: Answer | NotReached
    passing: Passing | None = None
    """Of a stream that its app gets already."""


class Forwarding:
    """One attempt. At any moment `ending_if_cut` says what the books must take if it goes no further."""

    def __init__(
        self, client: ProviderClient, work: Work, channel: Channel, patience: float, reservation: Reservation,
        keeper: Keeper | None, clock: Clock,
    ) -> None:  # fmt: skip
        self._client = client
        self._work = work
        self._channel = channel
        self._patience = patience
        self._reservation = reservation
        self._keeper = keeper
        self._clock = clock
        self._meter: Meter = work.endpoint.meter(wants_usage=work.reading.wants_usage)
        self._progress = Progress()
        self._status = 0
        self._passing: Passing | None = None
        self._drained = 0
        self._noted: JSONValue = None

    def ending_if_cut(self, outcome: str) -> Ending:
        if not self._progress.wrote:
            return Ending("not_run", outcome, reached=False)
        return by_usage(self._meter.seen.usage, outcome, self._status, self._meter.seen.model)

    async def run(self, key: Secret, body: bytes) -> Reply:
        """Never raises for what the provider does; cancelled, it closes the provider's connection."""
        work = self._work
        headers = [*content_headers(work), *credential_headers(work.provider.dialect, key)]
        url = work.provider.base_url + work.reading.target
        asked = self._client.send(
            work.reading.method, url, headers, body, self._progress, brought=work.provider.is_brought
        )
        return await self._answered(asked, key)

    async def go_on(self, sent: Sent) -> Reply:
        """As `run`, with what was sent already."""
        self._progress.wrote = isinstance(sent.answer, Answer)
        self._passing = sent.passing
        if sent.passing is not None:
            self._meter = sent.passing.meter
        return await self._answered(_with_head(sent.answer), sent.key)

    async def _answered(self, asked: Awaitable[Answer], key: Secret) -> Reply:
        try:
            answer = await asked
        except NotReached as error:
            unreachable = failed(Ending("not_run", "unreachable", reached=False), "provider_error", error)
            return unreachable._replace(fault=Fault(UNWELL))
        except TimedOut as error:
            return failed(Ending("estimated", "timed_out"), "provider_timeout", error)
        except Broken as error:
            return failed(Ending("estimated", "broken"), "provider_error", error)
        self._status = answer.status
        try:
            return await self._read(answer, key)
        except TimedOut as error:
            return failed(self.ending_if_cut("timed_out"), "provider_timeout", error)
        except (Broken, TooLong) as error:
            return failed(self.ending_if_cut("broken"), "provider_error", error)
        except KeyFound:
            return failed(self.ending_if_cut("garbage"), "provider_error")
        finally:
            if not answer.ended:
                await answer.close()

    async def _read(self, answer: Answer, key: Secret) -> Reply:
        if not is_plain(answer):
            return failed(Ending("estimated", "garbage", status=answer.status), "provider_error")
        if self._work.reading.streamed and is_stream(answer):
            return await self._stream(answer, key)
        if answer.status == 200 and (kind := self._given(answer)):
            return await self._bytes(answer, kind, key)
        raw, parsed = _parse(await self._gather(answer))
        if answer.status == 200 and isinstance(parsed, dict) and not self._work.reading.streamed:
            return await self._whole(answer, raw, parsed, key)
        return self._error(answer, parsed, key)

    async def _whole(self, answer: Answer, raw: bytes, parsed: JSONValue, key: Secret) -> Reply:
        reply = read_whole(self._work.endpoint, answer, raw, parsed, key)
        if reply.refusal or reply.head is None or self._keeper is None:
            return reply
        if not await self._keeper.note(parsed, reply.ending.usage):
            return Reply(reply.ending, refusal=not_noted())
        shown = await self._keeper.shown(parsed) or raw
        return reply._replace(head=reply.head._replace(body=shown), goes_on=self._keeper.goes_on)

    def _error(self, answer: Answer, parsed: JSONValue, key: Secret) -> Reply:
        """A provider's own error passes as it came, without keys; anything else is garbage."""
        if not self._work.dialect.is_error(parsed) or not 400 <= answer.status <= 599:
            return garbage(self._work.dialect, answer, parsed, key)
        mark = "not_run" if answer.status in _DID_NOT_RUN else "estimated"
        ending = Ending("not_run" if mark == "not_run" else "estimated", "provider_refused", status=answer.status)
        fault = fault_of(answer.status, answer.headers, parsed, self._clock()) if mark == "not_run" else None
        return self._refused(ending, answer, parsed, key, fault)

    def _refused(self, ending: Ending, answer: Answer, parsed: JSONValue, key: Secret, fault: Fault | None) -> Reply:
        if fault is not None and fault.cause == "refused":
            refusal = CallRefused("provider_key_unavailable", "The provider refuses the key behind this access.")
            return Reply(ending, refusal=refusal, fault=fault)
        headers = [(b"content-type", b"application/json"), *passed_headers(answer.headers, key)]
        return Reply(ending, Head(ending.status, headers, scrub(parsed, key)), fault=fault)

    async def _refused_at_once(self, answer: Answer, key: Secret) -> Reply | None:
        """A stream that begins with an error has not run: where other keys are, the app need not learn of it."""
        parsed = await first_event(answer)
        status = status_in_stream(parsed) if self._work.dialect.is_error(parsed) else 0
        fault = fault_of(status, answer.headers, parsed, self._clock())
        if fault is None:
            return None
        return self._refused(Ending("not_run", "provider_refused", status=status), answer, parsed, key, fault)

    def _given(self, answer: Answer) -> bytes:
        """The media type of an answer that is neither JSON nor events, if it is one that may come here."""
        return next((kind for kind in self._work.reading.gives if is_media_type(answer.headers, kind)), b"")

    async def _bytes(self, answer: Answer, kind: bytes, key: Secret) -> Reply:
        """Sound or text, passed on as it comes: complete with its last byte, and without a word of what was used."""
        self._channel.is_raw = True
        self._begin(answer, kind, key)
        guard = KeyGuard(key)
        async for arrived in answer.chunks():
            piece = guard.feed(arrived)
            if guard.found:
                return failed(self.ending_if_cut("garbage"), "provider_error")
            self._drain(arrived)
            if piece:
                await self._channel.give(piece, self._patience)
        if late := guard.rest():
            await self._channel.give(late, self._patience)
        return Reply(self._by_usage(NO_USAGE if self._work.reading.is_free else None, "ok"))

    def _begin(self, answer: Answer, kind: bytes, key: Secret) -> None:
        self._channel.ending = self._meter.ending
        self._channel.give_head(Head(200, begun_headers(answer, kind, key, self._reservation)))

    async def _stream(self, answer: Answer, key: Secret) -> Reply:
        passing = self._passing
        if passing is None:
            if self._reservation.pooled and (refused := await self._refused_at_once(answer, key)) is not None:
                return refused
            self._begin(answer, STREAM, key)
            passing = Passing(key, self._meter)
        else:
            passing.feed(b"")  # what was wrong with it still is
        async for arrived in answer.chunks():
            self._drain(arrived)
            shown = passing.feed(arrived)
            if not await self._has_noted():
                return Reply(self.ending_if_cut("broker_error"), refusal=not_noted())
            if shown:
                await self._channel.give(shown, self._patience)
        rest = passing.rest()
        if not await self._has_noted():
            return Reply(self.ending_if_cut("broker_error"), refusal=not_noted())
        if rest:
            await self._channel.give(rest, self._patience)
        return self._ended(self._meter)

    async def _has_noted(self) -> bool:
        """Whether all that the stream has said is kept is written down: once when it names it, once more with its usage."""
        seen = self._meter.seen
        if self._keeper is None or seen.made is None or seen.made is self._noted:
            return True
        self._noted = seen.made
        return await self._keeper.note(seen.made, seen.usage)

    def _ended(self, meter: Meter) -> Reply:
        ending = stream_ending(meter, self._status)
        return failed(ending, "provider_error") if ending.outcome == "broken" else Reply(ending)

    async def _gather(self, answer: Answer) -> bytes:
        if answer.ended:
            return await answer.whole(LONGEST_JSON)
        pieces, size = [], 0
        async for chunk in answer.chunks():
            size += len(chunk)
            self._drain(chunk)
            if size > LONGEST_JSON:
                raise TooLong
            pieces.append(chunk)
        return b"".join(pieces)

    def _drain(self, chunk: bytes) -> None:
        if self._channel.left:
            self._drained += len(chunk)
            if self._drained > LONGEST_DRAIN:
                raise TooLong

    def _by_usage(self, usage: Usage | None, outcome: str) -> Ending:
        return by_usage(usage, outcome, self._status)


def content_headers(work: Work) -> Headers:
    """What the provider is sent besides its key."""
    return [*_accepted(work.reading), *work.headers]


async def _with_head(answer: Answer | NotReached) -> Answer:
    if isinstance(answer, NotReached):
        raise answer
    await answer.head()
    return answer


def _parse(raw: bytes) -> tuple[bytes, JSONValue]:
    try:
        return raw, loads_answer(raw)
    except NotStrict:
        return raw, None
