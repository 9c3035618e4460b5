"""The attempts of one call: one, or where its access has several keys, another after each that did not run."""

import asyncio
from typing import TYPE_CHECKING

from broker.core.credential import SealedKey
from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.ledger.ask import Failed, GoOn
from broker.ledger.reserve import Reservation
from broker.ledger.settle import Ending
from broker.ops.log import logger
from broker.providers.fault import UNWELL, USUAL, Fault
from broker.providers.registry import Provider
from broker.proxy.channel import Channel
from broker.proxy.forward import Forwarding, Sent, Work
from broker.proxy.reply import Reply, no_key, no_vault

if TYPE_CHECKING:
    from broker.proxy.exchange import Means

log = logger("proxy")

LONGEST = 30.0
"""Seconds from the first attempt after which no other begins."""


class Attempts:
    """One hold covers them all: only the last can have run. At any moment `ending_if_cut` says what the books must take."""

    def __init__(
        self, means: "Means", work: Work, channel: Channel, reservation: Reservation, conversation: int
    ) -> None:
        self._means = means
        self._work = work
        self._channel = channel
        self._reservation = reservation
        self._conversation = conversation
        self._tried: tuple[str, ...] = ()
        self._started_at = reservation.admitted_at
        self._reached = False
        """Whether an attempt before this one may have been seen by the provider."""
        self._forwarding = self._next()

    @property
    def credential(self) -> SealedKey:
        """The one that the call runs on."""
        return self._reservation.credential

    def ending_if_cut(self, outcome: str) -> Ending:
        return self._seen(self._forwarding.ending_if_cut(outcome))

    async def run(self, sent: Sent | None = None) -> Reply:
        """Never raises for what the provider does; cancelled, it closes the provider's connection.

        `sent` is the first attempt, where it was begun already.
        """
        reply = await (self._with_token() if sent is None else self._forwarding.go_on(sent))
        if not self._reservation.pooled:
            self._note(reply, rests=True)
            return reply
        loop = asyncio.get_running_loop()
        until = loop.time() + LONGEST
        while reply.fault is not None and not self._channel.left and loop.time() < until:
            self._note(reply, rests=False)
            over = await self._go_on(reply)
            if over is not None:
                return over._replace(ending=self._seen(over.ending))
            reply = await self._with_token()
        self._note(reply, rests=True)
        return reply._replace(ending=self._seen(reply.ending))

    def _next(self) -> Forwarding:
        means, held = self._means, self._reservation
        keeper = means.kept.keeper(held, self._work.provider.name, self._work.reading)
        work = self._work._replace(provider=self._place() or self._work.provider)
        return Forwarding(means.client, work, self._channel, means.silence, held, keeper, means.clock)

    def _place(self) -> Provider | None:
        """The provider as this key reaches it; None where it must not be sent there."""
        return self._work.provider.at(self.credential.base_url)

    def _seen(self, ending: Ending) -> Ending:
        return ending._replace(reached=True) if self._reached and not ending.reached else ending

    async def _with_token(self) -> Reply:
        """An access token that has ended is renewed first, and one that is refused, once, before the key is at fault."""
        if not self.credential.expires_at:
            return await self._once()
        if self._means.renewal.is_due(self.credential) and (fault := await self._renew()) is not None:
            return _not_renewed(fault)
        reply = await self._once()
        if reply.fault is None or reply.fault.cause != "refused" or reply.ending.mark != "not_run":
            return reply
        self._reached = True
        return reply if await self._renew() is not None else await self._once()

    async def _renew(self) -> Fault | None:
        """None once there are new tokens."""
        self._forwarding = self._next()  # nothing runs anywhere while the tokens are waited for
        try:
            renewed = await self._means.renewal(self.credential)
        except BrokerError as error:
            log.warning("token.not_renewed", reservation=self._reservation.id, detail=error.detail)
            return Fault(UNWELL)
        if renewed is None:
            return Fault("refused", self._means.clock() + USUAL["refused"])
        self._reservation = self._reservation._replace(credential=renewed)
        self._forwarding = self._next()
        return None

    async def _once(self) -> Reply:
        try:
            key = self._means.open_key(self.credential)
        except Unavailable as error:
            return no_vault(error)
        if key is None or self._place() is None:
            return no_key()
        reading, held = self._work.reading, self._reservation
        render = reading.render_kept if reading.render_kept and held.has_wish else reading.render
        try:
            body = render(held.output_max)
            if (turn := self._means.kept.turn(held, reading)) is not None:
                await turn.begin()
        except CallRefused as refusal:
            return Reply(Ending("not_run", refusal.code, reached=False), refusal=refusal)
        except Unavailable as error:
            return no_vault(error)
        return await self._forwarding.run(key, body)

    async def _go_on(self, reply: Reply) -> Reply | None:
        """None once the hold is moved to another key; else what the app gets."""
        wish = self._wish(reply)
        self._tried = wish.tried
        self._reached = self._reached or reply.ending.reached
        # From here to the next attempt nothing runs anywhere: a cut now costs nothing.
        self._forwarding = self._next()
        try:
            went_on = await self._means.reserve.go_on(wish)
        except CallRefused as refusal:
            return _over(reply, refusal)
        except Unavailable as error:
            log.warning("call.stays", reservation=self._reservation.id, detail=error.detail)
            return reply
        self._reservation = self._reservation._replace(credential=went_on.credential)
        self._forwarding, self._started_at = self._next(), self._means.clock()
        return None

    def _wish(self, reply: Reply) -> GoOn:
        ending, fault, held = reply.ending, reply.fault, self._reservation
        cause, until = (fault.cause, fault.until) if fault is not None and fault.is_of_key else ("", 0)
        failed = Failed(
            self.credential, len(self._tried) + 1, self._started_at, ending.status, ending.outcome, cause, until
        )
        tried = (*self._tried, self.credential.id)
        boot_id = self._means.reserve.boot_id
        return GoOn(held.id, held.jti, boot_id, held.access_id, self._conversation, tried, failed)

    def _note(self, reply: Reply, *, rests: bool) -> None:
        """Only what is news is written: a refused key must not cost a write a call."""
        key, fault = self.credential, reply.fault
        refused = fault is not None and fault.cause == "refused"
        works = reply.ending.outcome == "ok"
        said = "refused" if refused else "working" if works else key.state
        resting = key.rests_until != 0 and key.rests_until > self._means.clock()
        starts = rests and fault is not None and fault.is_of_key and not resting
        if said != key.state or starts or (works and resting):
            self._means.key_judged(key, said, fault if starts else None)


def _not_renewed(fault: Fault) -> Reply:
    refusal = CallRefused("provider_key_unavailable", "The provider gives no new token for this access.")
    return Reply(Ending("not_run", "no_key", reached=False), refusal=refusal, fault=fault)


def _over(reply: Reply, refusal: CallRefused) -> Reply:
    """There is no key left, or the call may not go on: a provider that is unwell speaks for itself."""
    if refusal.code != "provider_key_unavailable":
        return Reply(reply.ending._replace(outcome=refusal.code), refusal=refusal)
    speaks = reply.fault is not None and not reply.fault.is_of_key and reply.ending.reached
    return reply if speaks else Reply(reply.ending, refusal=refusal)
