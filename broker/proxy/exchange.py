"""One call from reservation to settlement, in a task of its own that nothing but a cut ever interrupts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from broker.core.clock import Clock
from broker.core.credential import SealedKey
from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.core.secret import Secret
from broker.ledger.ask import IdempotencyKey
from broker.ledger.books import Books
from broker.ledger.judge import Demand
from broker.ledger.reserve import Reservation, Reserver
from broker.ledger.settle import Close, Ending, Settled, price_of
from broker.ops.log import logger
from broker.providers.client import Headers, ProviderClient
from broker.providers.fault import Fault
from broker.proxy.attempts import Attempts
from broker.proxy.authenticate import Principal
from broker.proxy.channel import Channel, Head
from broker.proxy.forward import Sent, Work
from broker.proxy.kept import KeptObjects
from broker.proxy.left import budget_header, left_headers, rate_headers
from broker.proxy.other_model import OtherModels
from broker.proxy.refuse import Refuser, refused
from broker.proxy.renewal import Renewal
from broker.proxy.reply import Reply
from broker.proxy.running import Running

log = logger("proxy")

DRAIN_SECONDS = 10.0
"""How long a call whose app has left is read on for its true usage."""

OpenKey = Callable[[SealedKey], Secret | None]
KeyJudged = Callable[[SealedKey, str, Fault | None], None]
"""Notes what a provider said of a key by how it answered, working or refused; a key with a fault rests."""


@dataclass(frozen=True, slots=True)
class Means:
    """What every call uses."""

    reserve: Reserver
    books: Books
    client: ProviderClient
    open_key: OpenKey
    key_judged: KeyJudged
    refuser: Refuser
    running: Running
    kept: KeptObjects
    renewal: Renewal
    clock: Clock
    other_models: OtherModels
    silence: float


class Exchange:
    def __init__(
        self, means: Means, principal: Principal, work: Work, demand: Demand, once: IdempotencyKey | None
    ) -> None:
        self.channel = Channel()
        self.demand = demand
        self.jti = principal.jti
        self.access_id = ""
        self.ends_at = 0
        self.changes = -1
        self._means = means
        self._principal = principal
        self._work = work
        self._once = once
        self._forwarding: asyncio.Task[object] | None = None
        """The task of this call while it may be cut: between its reservation and its ending."""
        self._attempts: Attempts | None = None
        self._cut: CallRefused | None = None

    @property
    def credential_id(self) -> str:
        """Of the key that it runs on, once it does."""
        return "" if self._attempts is None else self._attempts.credential.id

    def cut(self, why: CallRefused) -> None:
        """Ends a running call: its provider's connection is closed at once, its app is told why."""
        if self._cut is None and self._forwarding is not None:
            self._cut = why
            self._forwarding.cancel()

    def leave(self) -> None:
        """The app has hung up; the provider is read on for a bounded while."""
        if not self.channel.left:
            self.channel.leave()
            self._end_soon()

    def _end_soon(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(DRAIN_SECONDS, self.cut, CallRefused("unavailable", "The app left."))

    async def run(self, given: Awaitable[Reservation] | None = None) -> CallRefused | None:
        """Gives the refusal of a call that was never admitted; `given` is what the books were asked for already."""
        try:
            reservation = await (given or self._means.reserve(self.jti, self.demand, self._once))
        except Exception as error:  # whatever it is, nothing was forwarded, and somebody waits for an answer
            if not isinstance(error, BrokerError):
                log.exception("reserve.broke", exc_info=error)
                error = Unavailable()
            refusal = self._means.refuser.with_manage_url(refused(error), self._principal.grant_id)
            self._answer(refusal, left_headers(refusal))
            return refusal
        await self.go_on(reservation)
        return None

    async def go_on(self, reservation: Reservation, sent: Sent | None = None, cut: CallRefused | None = None) -> None:
        """From the reservation to the settlement, with the attempt that was begun already; `cut` ends it at once."""
        self.access_id, self.ends_at, self.changes = reservation.access_id, reservation.ends_at, reservation.changes
        self._means.running.add(reservation.id, self)
        try:
            reply = await self._forward(reservation, sent, cut)
            await self._finish(reservation, reply)
        finally:
            self._means.running.remove(reservation.id)

    async def _forward(self, reservation: Reservation, sent: Sent | None, cut: CallRefused | None) -> Reply:
        attempts = Attempts(self._means, self._work, self.channel, reservation, self.demand.conversation)
        self._attempts = attempts
        self._forwarding = asyncio.current_task()
        if self.channel.left:
            self._end_soon()  # it left while the books were waited for, and what was set then may be over
        if cut is not None:
            self.cut(cut)
        try:
            return await attempts.run(sent)
        except asyncio.CancelledError:
            if self._cut is None:
                raise
            outcome = "client_left" if self.channel.left else self._cut.code
            return Reply(attempts.ending_if_cut(outcome), refusal=self._cut)
        except Exception as error:
            # Its message may quote what it choked on, even the key.
            log.exception("call.broke", reservation=reservation.id, exc_info=error)
            broke = CallRefused("unavailable", Unavailable.description)
            return Reply(attempts.ending_if_cut("broker_error"), refusal=broke)
        finally:
            self._end_of_cuts()

    def _end_of_cuts(self) -> None:
        """What comes now is the settlement: nothing may interrupt it, not even a cut that was asked for just now."""
        if self._forwarding is not None:
            while self._forwarding.cancelling():
                self._forwarding.uncancel()
            self._forwarding = None

    async def _finish(self, reservation: Reservation, reply: Reply) -> None:
        """Hands the ending to the books and answers: a read that comes after the answer waits for what was handed in."""
        if reply.goes_on:
            self._give(reply, [budget_header(reservation, None), *rate_headers(reservation)])
            return
        ending = reply.ending
        if self.channel.left and ending.outcome == "ok":
            ending = ending._replace(outcome="client_left", reached=True)
        ending = self._means.other_models.judged(self._work, reservation.price, ending)
        settling = self._means.books.submit(Close(reservation.id, ending))
        if (turn := self._means.kept.turn(reservation, self._work.reading)) is not None:
            await turn.leave(ending)
        settled = price_of(ending, reservation.price, reservation.hold)
        limits = [budget_header(reservation, settled), *rate_headers(reservation)]
        if reply.refusal is not None:
            await self._refuse(reply.refusal, limits)
        else:
            self._give(reply, limits)
        if self.channel.streams:
            await self.channel.give(None, self._means.silence)
        await self.settled(reservation, ending, settling)

    def _give(self, reply: Reply, limits: Headers) -> None:
        head = reply.head
        if head is not None:
            self.channel.give_head(Head(head.status, [*head.headers, *limits], head.body))

    async def _refuse(self, refusal: CallRefused, limits: Headers) -> None:
        if refusal.detail:
            log.warning("call.failed", code=refusal.code, detail=refusal.detail)
        if not self.channel.has_head:
            self._answer(refusal, limits)
            return
        if self.channel.is_raw:
            self.channel.broke = True
            return
        # A broken stream ends with the dialect's own error event, never with a clean end.
        error = self._means.refuser.answer(refusal, self._work.dialect)[2]
        await self.channel.give(self.channel.ending(error), self._means.silence)

    def _answer(self, refusal: CallRefused, more: Headers) -> None:
        bound = bool(self._principal.jkt)
        status, headers, body = self._means.refuser.answer(refusal, self._work.dialect, bound=bound)
        self.channel.give_head(Head(status, [*headers, *more], body))

    async def keep(self, reservation: Reservation, ending: Ending, settling: "asyncio.Future[Settled]") -> None:
        """Of a call that was answered already: until the books have it."""
        try:
            await self.settled(reservation, ending, settling)
        finally:
            self._means.running.remove(reservation.id)

    async def settled(self, reservation: Reservation, ending: Ending, settling: "asyncio.Future[Settled]") -> None:
        """Tries until the books have it; if this process dies first, the sweep takes the bound."""
        pause = 0.05
        while True:
            try:
                settled = await settling
            except Exception as error:  # whatever it is, a hold must not be forgotten while this process lives
                log.warning("settle.waits", reservation=reservation.id, exc_info=error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                settling = self._means.books.submit(Close(reservation.id, ending))
            else:
                if settled.overrun:
                    log.error("call.overrun", reservation=reservation.id, overrun=settled.overrun)
                return
