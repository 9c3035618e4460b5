"""Reserve: every limit is judged by the write that takes from it, and the hold is durable before a byte leaves."""

from broker.core.clock import Clock
from broker.core.errors import BrokerError, Unavailable
from broker.core.handle import Entropy, new_ordered_id, system_entropy
from broker.ledger.ask import Ask, GoOn, IdempotencyKey, Reservation, WentOn
from broker.ledger.books import Books
from broker.ledger.judge import Demand
from broker.ledger.lease import Lease
from broker.ledger.settle import Close, Ending
from broker.ledger.transaction import Answer
from broker.store.steps import Doubtful

__all__ = ["Reservation", "Reserver"]

_LAPSED = Ending("not_run", "unavailable", reached=False)


class Reserver:
    """Takes holds under the lease of this worker; a refused call leaves no trace in any limit."""

    def __init__(self, books: Books, clock: Clock, lease: Lease, entropy: Entropy = system_entropy) -> None:
        self._books = books
        self._clock = clock
        self._lease = lease
        self._entropy = entropy
        self._doubtful: set[str] = set()

    def ask(self, jti: str, demand: Demand, key: IdempotencyKey | None = None) -> Ask:
        """What the books are to be asked; raises Unavailable once the lease has lapsed."""
        self._lease.require()
        return Ask(new_ordered_id("res", self._clock(), self._entropy), jti, demand, self._lease.boot_id, key)

    async def __call__(self, jti: str, demand: Demand, key: IdempotencyKey | None = None) -> Reservation:
        """Raises CallRefused, or Unavailable when the books cannot answer."""
        ask = self.ask(jti, demand, key)
        try:
            answer: Answer = await self._books.submit(ask)
        except Exception as error:
            answer = error
        return await self.given(ask, answer)

    async def given(self, ask: Ask, answer: Answer) -> Reservation:
        """What the books answered, if something may be forwarded by it; raises as a call does."""
        if isinstance(answer, Doubtful):
            self._doubtful.add(ask.id)
        if not isinstance(answer, Reservation):
            raise answer if isinstance(answer, Exception) else Unavailable(detail="the books gave another answer")
        if not self._lease.is_good:
            # The wait for the books may have outlasted the lease: then nothing may be forwarded, and nothing is.
            await self._books.submit(Close(answer.id, _LAPSED))
            raise Unavailable(detail="the lease of this worker lapsed while it waited for the books")
        return answer

    def is_good(self, answer: Answer) -> bool:
        """Whether it is a reservation under a lease that has not lapsed."""
        return isinstance(answer, Reservation) and self._lease.is_good

    @property
    def boot_id(self) -> str:
        return self._lease.boot_id

    async def go_on(self, wish: GoOn) -> WentOn:
        """As a call: raises CallRefused when no key is left, or Unavailable, and then nothing may be forwarded."""
        self._lease.require()
        went_on = await self._books.submit(wish)
        self._lease.require()
        return went_on

    async def give_back(self) -> None:
        """Releases what may be held although nobody was told so; to be called now and then."""
        for reservation_id in list(self._doubtful):
            try:
                await self._books.submit(Close(reservation_id, _LAPSED))
            except Unavailable:
                return
            except BrokerError:
                pass  # it was never held
            self._doubtful.discard(reservation_id)
