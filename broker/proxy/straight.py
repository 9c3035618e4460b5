"""The straight way: a usual call without a task, done in the moments at which something comes for it.

Whatever is unusual leaves it for the complete way (`exchange.py`), with all that was done so far: so there is one place
for every refusal, every stream and every broken answer, and this one has no words of its own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import Message

from broker.core.errors import CallRefused, Unavailable
from broker.core.handle import new_id
from broker.core.strict_json import loads_answer
from broker.ledger.ask import Reservation
from broker.ledger.books import into
from broker.ledger.judge import Demand
from broker.ledger.settle import Close, Settled, price_of
from broker.ledger.transaction import Answer as Told
from broker.providers.check import credential_headers
from broker.providers.client import Answer, Headers, Start
from broker.providers.dialect import Dialect, Endpoint
from broker.providers.registry import Provider
from broker.proxy.authenticate import Principal
from broker.proxy.exchange import Exchange, Means
from broker.proxy.forward import Sent, Work
from broker.proxy.left import budget_header, rate_headers
from broker.proxy.reply import Reply, read_whole
from broker.proxy.respond import HANGUP, dressed, relay

LONGEST = 65_536
"""Bytes of an answer that may wait here for their end; of a longer one the provider has to wait for a reader."""


@dataclass(slots=True)
class Usual:
    """What a head said when it was read."""

    generation: int
    principal: Principal
    provider: Provider
    dialect: Dialect
    endpoint: Endpoint
    headers: Headers
    """Of the app's, those that cross."""
    path: str
    start: Start
    is_pooled: bool = True
    """Whether its calls may go by one of several keys, as far as is known: then it matters whose conversation they are of."""


class Asked(Protocol):
    """A request of our own server, which can be answered without waiting."""

    gone: bool

    def answer(self, status: int, headers: Headers, body: bytes) -> None: ...
    def run(self, answering: Coroutine[Any, Any, None]) -> None: ...
    def when_hung_up(self, callback: Callable[[], None]) -> object: ...
    async def receive(self) -> Message: ...
    async def send(self, message: Message) -> None: ...


Rest = Coroutine[Any, Any, CallRefused | None]
"""What is still to be done of a call; gives the refusal of one that was never admitted."""

Complete = Callable[[Rest, Principal, Work], None]
"""Runs the rest of a call as a task."""


class Straight:
    """One call from its reservation to its settlement; among `calls` until the books have it, or the complete way does."""

    __slots__ = (
        "_answer", "_ask", "_calls", "_complete", "_ending", "_key", "_means", "_request", "_reservation", "_usual",
        "_work", "access_id", "changes", "credential_id", "demand", "ends_at", "jti",
    )  # fmt: skip

    def __init__(
        self, means: Means, usual: Usual, work: Work, demand: Demand, request: Asked, calls: "set[Straight]", complete: Complete,
    ) -> None:  # fmt: skip
        self._means = means
        self._usual = usual
        self._work = work
        self._request = request
        self._calls = calls
        self._complete = complete
        self.demand = demand
        self.jti = usual.principal.jti
        self._answer: Answer | None = None
        """While the provider is waited for."""

    def begin(self) -> None:
        """Raises Unavailable, and then nothing was asked for."""
        self._ask = self._means.reserve.ask(self.jti, self.demand)
        self._means.books.ask(self._ask, self._reserved)
        self._calls.add(self)
        self._request.when_hung_up(self._leave)

    def cut(self, why: CallRefused) -> None:
        """As `Exchange.cut`."""
        if self._answer is not None:
            self._go_on(why)

    def _leave(self) -> None:
        if self._answer is not None:
            self._go_on()

    # What comes for it, between what comes for others: nothing may be raised here.

    def _reserved(self, told: Told) -> None:
        if not self._means.reserve.is_good(told) or not isinstance(told, Reservation) or not self._is_sent(told):
            self._hand_over(lambda exchange: exchange.run(self._means.reserve.given(self._ask, told)))

    def _news(self) -> None:
        answer = self._answer
        if answer is None:
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
        """False where the complete way has to: to connect, to say what is missing, to note that a key works, to renew it."""
        means, work = self._means, self._work
        self._usual.is_pooled = reservation.pooled
        if self._request.gone or reservation.credential.state != "working" or reservation.credential.expires_at:
            return False
        try:
            key = means.open_key(reservation.credential)
            if key is None or reservation.credential.base_url:
                return False
            headers, body = credential_headers(work.provider.dialect, key), work.reading.render(reservation.output_max)
            answer = means.client.send_at_once(self._usual.start, headers, body)
        except Exception:  # whatever it is, nothing was written, and the complete way meets it again
            return False
        if answer is None:
            return False
        self._reservation, self._key, self._answer = reservation, key, answer
        answer.news = self._news
        self.access_id, self.ends_at, self.changes = reservation.access_id, reservation.ends_at, reservation.changes
        self.credential_id = reservation.credential.id
        means.running.add(reservation.id, self)
        return True

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
        reservation, head, ending = self._reservation, reply.head, reply.ending
        try:
            self._means.books.ask(Close(reservation.id, ending), self._settled)
        except Unavailable:
            self._go_on()
            return
        self._answer, self._ending = None, ending
        settled = price_of(ending, reservation.price, reservation.hold)
        limits = [budget_header(reservation, settled), *rate_headers(reservation)]
        if head is not None:
            self._request.answer(head.status, dressed([*head.headers, *limits], new_id("req")), head.body or b"")

    # Leaving for the complete way.

    def _go_on(self, cut: CallRefused | None = None) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.news = None
            sent = Sent(self._key, answer)
            self._hand_over(lambda exchange: exchange.go_on(self._reservation, sent, cut))

    def _hand_over(self, rest: Callable[[Exchange], Rest]) -> None:
        exchange, request = self._keep(rest), self._request
        if request.gone:
            exchange.leave()
        else:
            scope = {"extensions": {HANGUP: request.when_hung_up}}
            request.run(relay(exchange, scope, request.receive, request.send))

    def _keep(self, rest: Callable[[Exchange], Rest]) -> Exchange:
        self._calls.discard(self)
        exchange = Exchange(self._means, self._usual.principal, self._work, self.demand, None)
        self._complete(rest(exchange), self._usual.principal, self._work)
        return exchange
