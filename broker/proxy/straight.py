"""The straight way: a usual call without a task, done in the moments at which something comes for it.

Whatever is unusual leaves it for the complete way (`exchange.py`), with all that was done so far: so there is one place
for every refusal and every broken answer, and this one has no words of its own.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from broker.core.errors import CallRefused, Unavailable
from broker.core.handle import new_id
from broker.core.strict_json import loads_answer
from broker.ledger.ask import Reservation
from broker.ledger.books import into
from broker.ledger.judge import Demand
from broker.ledger.ready import use_of
from broker.ledger.settle import Close, Ending, Settled, price_of
from broker.ledger.transaction import Answer as Told
from broker.providers.check import credential_headers
from broker.providers.client import Answer, NotReached
from broker.proxy.asked import Asked, Complete, Rest, Usual
from broker.proxy.authenticate import Principal
from broker.proxy.exchange import Exchange, Means
from broker.proxy.forward import Sent, Work
from broker.proxy.left import budget_header, rate_headers
from broker.proxy.passing import Passing
from broker.proxy.reply import STREAM, Reply, begun_headers, is_plain, is_stream, read_whole, stream_ending
from broker.proxy.respond import HANGUP, dressed, relay

LONGEST = 65_536
"""Bytes of an answer that may wait here for their end; of a longer one the provider has to wait for a reader."""


class Straight:
    """One call from its reservation to its settlement; among `calls` until the books have it, or the complete way does."""

    __slots__ = (
        "_answer", "_ask", "_calls", "_complete", "_connecting", "_ending", "_key", "_means", "_passing", "_principal", "_request", "_reservation",
        "_stalled", "_usual", "_work", "access_id", "changes", "credential_id", "demand", "ends_at", "jti",
    )  # fmt: skip

    def __init__(
        self, means: Means, usual: Usual, principal: Principal, work: Work, demand: Demand, request: Asked, calls: "set[Straight]",
        complete: Complete,
    ) -> None:  # fmt: skip
        self._means = means
        self._usual = usual
        self._principal = principal
        self._work = work
        self._request = request
        self._calls = calls
        self._complete = complete
        self.demand = demand
        self.jti = principal.jti
        self._answer: Answer | None = None
        """While the provider is waited for."""
        self._connecting: asyncio.Task[Answer] | None = None
        """While there is no connection to the provider yet, and nothing was sent."""
        self._passing: Passing | None = None
        """Of a stream that has begun."""
        self._stalled: asyncio.TimerHandle | None = None
        """While its app has to read before more is given."""

    def begin(self) -> None:
        """Raises Unavailable, and then nothing was asked for."""
        self._ask = self._means.reserve.ask(self.jti, self.demand)
        self._means.books.ask(self._ask, self._reserved)
        self._calls.add(self)
        self._request.when_hung_up(self._leave)

    def cut(self, why: CallRefused) -> None:
        """As `Exchange.cut`."""
        self._go_on(why)

    def _leave(self) -> None:
        self._go_on()

    # What comes for it, between what comes for others: nothing may be raised here.

    def _reserved(self, told: Told) -> None:
        if not self._means.reserve.is_good(told) or not isinstance(told, Reservation) or not self._is_sent(told):
            self._hand_over(lambda exchange: exchange.run(self._means.reserve.given(self._ask, told)))

    def _news(self) -> None:
        answer = self._answer
        if answer is None:
            return
        if self._passing is not None:
            self._pass_on(answer, self._passing)
            return
        if self._work.reading.streamed:
            self._open(answer)
            return
        reply = self._read(answer) if answer.ended else None
        if reply is not None:
            self._finish(reply)
        elif answer.ended or answer.error is not None or answer.size > LONGEST:
            self._go_on()

    def _settled(self, told: Told) -> None:
        reservation, ending = self._reservation, self._ending
        if isinstance(told, Settled) and not told.overrun:
            self._means.running.remove(reservation.id)
            self._calls.discard(self)
            return
        settling: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        into(settling, told)
        self._keep(lambda exchange: exchange.keep(reservation, ending, settling))

    # What is done.

    def _is_sent(self, reservation: Reservation) -> bool:
        """False where the complete way has to: to say what is missing, to note that a key works, to renew it."""
        means, work = self._means, self._work
        alone = self._usual.alone
        (alone.discard if reservation.pooled else alone.add)(use_of(self._ask))
        if self._request.gone or reservation.credential.state != "working" or reservation.credential.expires_at:
            return False
        start = self._usual.streamed if work.reading.streamed else self._usual.whole
        try:
            key = means.open_key(reservation.credential)
            if key is None or reservation.credential.base_url:
                return False
            headers, body = credential_headers(work.provider.dialect, key), work.reading.render(reservation.output_max)
            answer = means.client.send_at_once(start, headers, body)
        except Exception:  # whatever it is, nothing was sent, and the complete way meets it again
            return False
        self._reservation, self._key = reservation, key
        self.access_id, self.ends_at, self.changes = reservation.access_id, reservation.ends_at, reservation.changes
        self.credential_id = reservation.credential.id
        means.running.add(reservation.id, self)
        if answer is None:
            self._connecting = asyncio.create_task(means.client.send_on_another(start, headers, body))
            self._connecting.add_done_callback(self._connected)
        else:
            self._await(answer)
        return True

    def _await(self, answer: Answer) -> None:
        self._answer = answer
        answer.news = self._news

    def _connected(self, connecting: "asyncio.Task[Answer]") -> None:
        """The request was sent by a new connection, or there is none."""
        if self._connecting is None or connecting.cancelled():
            return
        self._connecting = None
        error = connecting.exception()
        if error is None:
            answer = connecting.result()
            self._await(answer)
            if answer.status or answer.error is not None:
                self._news()
        elif isinstance(error, NotReached):
            sent = Sent(self._key, error)
            self._hand_over(lambda exchange: exchange.go_on(self._reservation, sent))
        else:  # whatever it is, nothing was sent, and the complete way meets it again
            self._hand_over(lambda exchange: exchange.go_on(self._reservation))

    def _read(self, answer: Answer) -> Reply | None:
        """None for what is not a whole answer that passes as it came."""
        if answer.status != 200 or answer.header(b"content-encoding"):
            return None
        try:
            raw = answer.come()
            parsed = loads_answer(raw)
            reply = (
                read_whole(self._work.endpoint, answer, raw, parsed, self._key) if isinstance(parsed, dict) else None
            )
        except Exception:  # as above
            return None
        return reply if reply is not None and reply.refusal is None else None

    def _finish(self, reply: Reply) -> None:
        """As `Exchange._finish`: the books are told first."""
        reservation, head = self._reservation, reply.head
        if not self._is_booked(reply.ending):
            self._go_on()
            return
        settled = price_of(self._ending, reservation.price, reservation.hold)
        limits = [budget_header(reservation, settled), *rate_headers(reservation)]
        if head is not None:
            self._request.answer(head.status, dressed([*head.headers, *limits], new_id("req")), head.body or b"")

    # A stream.

    def _open(self, answer: Answer) -> None:
        """Its head is there. Of several keys another may do better, which its first event tells."""
        if answer.error is not None or self._reservation.pooled or not is_stream(answer) or not is_plain(answer):
            self._go_on()
            return
        try:
            headers = begun_headers(answer, STREAM, self._key, self._reservation)
            self._request.start(200, dressed(headers, new_id("req")))
        except Exception:  # whatever it is, nothing was written, and the complete way meets it again
            self._go_on()
            return
        reading = self._work.reading
        self._passing = Passing(self._key, self._work.endpoint.meter(wants_usage=reading.wants_usage))
        self._pass_on(answer, self._passing)

    def _pass_on(self, answer: Answer, passing: Passing) -> None:
        """What has come, in one piece; as `Forwarding`."""
        if self._stalled is not None:
            return  # and where too much waits here, the provider does
        is_over = answer.ended or answer.error is not None
        try:
            shown = passing.feed(answer.take())
            if answer.ended:
                shown += passing.rest()
        except Exception:  # as above: what is wrong with it stays so
            self._go_on()
            return
        if answer.ended and self._is_booked(stream_ending(passing.meter, answer.status)):
            self._request.give(shown, more=False)
            return
        if shown:
            self._request.give(shown, more=True)
        if is_over:
            self._go_on()
        elif self._request.when_flushed(self._flushed):
            self._stalled = asyncio.get_running_loop().call_later(self._means.silence, self._give_up)

    def _flushed(self) -> None:
        stalled, self._stalled = self._stalled, None
        if stalled is not None:
            stalled.cancel()
            self._news()

    def _give_up(self) -> None:
        """A reader that takes nothing for so long counts as gone."""
        self._stalled = None
        exchange = self._go_on()
        if exchange is not None:
            exchange.leave()

    def _is_booked(self, ending: Ending) -> bool:
        """False of a stream that did not come to its end, and where the books take nothing now."""
        if ending.outcome == "broken":
            return False
        try:
            ending = self._means.other_models.judged(self._work, self._reservation.price, ending)
            self._means.books.ask(Close(self._reservation.id, ending), self._settled)
        except Unavailable:
            return False
        self._answer, self._ending = None, ending
        return True

    # Leaving for the complete way.

    def _go_on(self, cut: CallRefused | None = None) -> Exchange | None:
        """None where there is nothing to go on with: before the reservation, and after the answer."""
        connecting = self._connecting
        if connecting is not None:
            if not connecting.done():
                self._connecting = None
                connecting.cancel()
                return self._hand_over(lambda exchange: exchange.go_on(self._reservation, None, cut))
            self._connected(connecting)
        answer, self._answer = self._answer, None
        if answer is None:
            return None
        answer.news = None
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        sent = Sent(self._key, answer, self._passing)
        return self._hand_over(lambda exchange: exchange.go_on(self._reservation, sent, cut))

    def _hand_over(self, rest: Callable[[Exchange], Rest]) -> Exchange:
        exchange, request, passing = self._keep(rest), self._request, self._passing
        if passing is not None:
            exchange.channel.resume(passing.meter.ending)
        if request.gone:
            exchange.leave()
        # Also where nobody reads any more: with what answers it, the connection of a request ends.
        scope = {"extensions": {HANGUP: request.when_hung_up}}
        request.run(relay(exchange, scope, request.receive, request.send, begun=passing is not None))
        return exchange

    def _keep(self, rest: Callable[[Exchange], Rest]) -> Exchange:
        self._calls.discard(self)
        exchange = Exchange(self._means, self._principal, self._work, self.demand, None)
        self._complete(rest(exchange), self._principal, self._work)
        return exchange
