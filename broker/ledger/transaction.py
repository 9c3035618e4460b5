"""One transaction of the books: endings first, since they give back what admissions may take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.core.money import MicroUSD
from broker.ledger.ask import Ask, Reservation, admitted, held, row
from broker.ledger.charges import Charge, counters_of, exhausted, tightest
from broker.ledger.frozen import freeze
from broker.ledger.judge import Demand, Plan, check_state, covering, foremost, plan
from broker.ledger.keys import CounterKey
from broker.ledger.late import end_late, held_of
from broker.ledger.rates import Kept, Rates
from broker.ledger.settle import Close, Held, Settled, believed
from broker.ledger.standing import Allowance, Standing, read_standings
from broker.ledger.statements import END, EPOCH, HOLD, RESERVATIONS, STANDING_LEASES
from broker.ledger.tally import Tallies
from broker.store.steps import Steps

Operation = Ask | Close
Answer = Reservation | Settled | Exception

MOST_KEPT = 20_000


@dataclass(slots=True)
class Memory:
    """What is known from the transactions before; each use of it is confirmed by the database in the same transaction."""

    tallies: Tallies = field(default_factory=Tallies)
    standings: dict[str, Standing] = field(default_factory=dict)
    epoch: int = -1
    running: dict[str, Held] = field(default_factory=dict)
    """Calls that were admitted here and have not ended."""
    rates: Kept = field(default_factory=Kept)


@dataclass(frozen=True, slots=True)
class _Wish:
    """An admission with what it may be charged to."""

    ask: Ask
    standing: Standing
    found: list[tuple[Allowance, dict[CounterKey, int]]]


class Transaction:
    """`steps` does the operations and gives their answers in order; `committed` or `undone` tells how that went on."""

    def __init__(self, operations: Sequence[Operation], memory: Memory, now: int, *, anew: bool) -> None:
        self._operations = operations
        self._memory = memory
        self._now = now
        self._anew = anew
        """Whether counters are read again, rather than believed until the write."""
        self._rates = Rates(memory.rates, now)
        self._answers: dict[int, Answer] = {}
        self._loaded: set[CounterKey] = set()
        self._touched: dict[CounterKey, None] = {}
        self._changes = 0
        self._ended: list[str] = []
        self._began: dict[str, Held] = {}
        self._rows: list[tuple[object, ...]] = []

    def steps(self) -> Steps[list[Answer]]:
        """Raises Stale when what was believed was not so: then nothing was done, and it is to be tried anew."""
        closes = [(place, op) for place, op in enumerate(self._operations) if isinstance(op, Close)]
        asks = [(place, op) for place, op in enumerate(self._operations) if isinstance(op, Ask)]
        ended, late = (yield from self._end(closes)) if closes else ([], [])
        wishes = (yield from self._hear(asks)) if asks else []
        keys = [key for _, _, each, _ in ended for key in each.charged]
        keys += [key for _, wish in wishes for _, limits in wish.found for key in limits]
        yield from self._load(keys)
        yield from self._book(ended)
        yield from self._end_late(late)
        yield from self._admit(wishes)
        yield from self._memory.tallies.write(self._touched)
        if self._rows:
            yield HOLD, self._rows
        return [self._answers[place] for place in range(len(self._operations))]

    def committed(self) -> None:
        self._rates.committed()
        self._memory.tallies.written(self._touched)
        for reservation_id in self._ended:
            self._memory.running.pop(reservation_id, None)
        self._memory.running |= self._began

    def undone(self) -> None:
        self._rates.undone()
        self._memory.tallies.forget(self._touched)

    # Endings.

    def _end(
        self, closes: list[tuple[int, Close]]
    ) -> Steps[tuple[list[tuple[int, Close, Held, Settled]], list[tuple[int, Close]]]]:
        """Ends what is held, and gives it; beside it, what had ended before."""
        unknown = [op.reservation_id for _, op in closes if op.reservation_id not in self._memory.running]
        found = yield from held_of(unknown)
        first: dict[str, tuple[int, Close, Held, Settled]] = {}
        parameters, late = [], []
        for place, close in closes:
            each = self._memory.running.get(close.reservation_id) or found.get(close.reservation_id)
            if each is None or close.reservation_id in first:
                late.append((place, close))
                continue
            settled, values = each.end(close, self._now)
            first[close.reservation_id] = place, close, each, settled
            parameters.append(values)
        done = {reservation_id for (reservation_id,) in (yield END, parameters)} if parameters else set()
        late += [(place, close) for place, close, _, _ in first.values() if close.reservation_id not in done]
        self._ended = list(first)
        return [each for each in first.values() if each[1].reservation_id in done], late

    def _book(self, ended: list[tuple[int, Close, Held, Settled]]) -> Steps[None]:
        for place, close, each, settled in ended:
            self._memory.tallies.book(each.charged, each.hold, settled, ran=close.ending.mark != "not_run")
            self._touch(each.charged)
            self._leave_rates(close, each)
            self._answers[place] = settled
            if settled.overrun:
                yield from freeze(close.reservation_id, each, settled, self._now)

    def _leave_rates(self, close: Close, each: Held) -> None:
        ending = believed(close.ending)
        reached = ending.mark != "not_run" or ending.reached
        self._rates.end(close.reservation_id, each.charged, reached=reached, tokens=each.counted(ending.usage))

    def _end_late(self, late: list[tuple[int, Close]]) -> Steps[None]:
        """One after the other: what one has learnt, the next finds."""
        for place, close in late:
            found = yield RESERVATIONS, [(close.reservation_id,)]
            if not found:
                self._answers[place] = BrokerError(detail=f"no reservation {close.reservation_id}")
                continue
            outcome = yield from end_late(found[0], close, self._load, self._memory.tallies, self._now)
            self._answers[place] = outcome.settled
            self._touch(outcome.touched)

    # Admissions.

    def _hear(self, asks: list[tuple[int, Ask]]) -> Steps[list[tuple[int, _Wish]]]:
        """Those whose worker has a lease and whose token covers them; the others have their answers."""
        yield from self._refresh({ask.jti for _, ask in asks})
        leases = dict.fromkeys((ask.boot_id, self._now) for _, ask in asks)
        standing = {boot_id for (boot_id,) in (yield STANDING_LEASES, list(leases))}
        wishes = []
        for place, ask in asks:
            if ask.boot_id not in standing:
                self._answers[place] = Unavailable(detail="the lease of this worker has ended in the books")
                continue
            try:
                wishes.append((place, self._wish(ask)))
            except Exception as error:  # of one call, and no other in this transaction
                self._answers[place] = error
        return wishes

    def _refresh(self, jtis: set[str]) -> Steps[None]:
        memory = self._memory
        [(epoch, self._changes)] = yield EPOCH, [()]
        if epoch != memory.epoch or len(memory.standings) > MOST_KEPT:
            memory.standings.clear()
            memory.epoch = epoch
        unknown = jtis.difference(memory.standings)
        if unknown:
            memory.standings |= yield from read_standings(unknown)

    def _wish(self, ask: Ask) -> _Wish:
        known = self._memory.standings.get(ask.jti)
        standing = check_state(None if known is None else known.at(self._now))
        allowances = covering(standing, ask.demand)
        return _Wish(ask, standing, [(each, counters_of(standing, each, self._now)) for each in allowances])

    def _admit(self, wishes: list[tuple[int, _Wish]]) -> Steps[None]:
        yield from self._rates.refresh()
        yield from self._rates.load((each, wish.ask.jti) for _, wish in wishes for each, _ in wish.found)
        for place, wish in wishes:
            try:
                self._answers[place] = yield from self._judge(wish)
            except (CallRefused, ArithmeticError, LookupError, TypeError, ValueError) as error:
                self._answers[place] = error

    def _judge(self, wish: _Wish) -> Steps[Reservation | CallRefused]:
        demand, tallies = wish.ask.demand, self._memory.tallies
        found = [(each, [Charge(k, tallies.open(k, limit)) for k, limit in keys.items()]) for each, keys in wish.found]
        refusals = {}
        for allowance, charges, planned in _tries(found, demand):
            answer = planned if isinstance(planned, CallRefused) else _over(charges, planned, demand)
            if answer is None and isinstance(planned, Plan):
                if (yield from self._rates.fit(allowance, wish.ask.jti, planned.tokens(demand))):
                    return self._take(wish, planned, charges)
                answer = yield from self._rates.too_fast(allowance, wish.ask.jti, planned.tokens(demand))
            # What an access says to the call cut for its money stands, not what it said to the whole.
            refusals[allowance.access_id] = answer
        keys = [key for _, keys in wish.found for key in keys]
        # What was read anew is locked; but a row that was not there then may be there by now.
        yield from tallies.confirm([key for key in keys if tallies[key].stored is None] if self._anew else keys)
        return foremost(refusal for refusal in refusals.values() if refusal is not None)

    def _take(self, wish: _Wish, planned: Plan, charges: list[Charge]) -> Reservation:
        ask = wish.ask
        for charge in charges:
            charge.tally.take(charge.amount(planned.hold))
        self._rates.add(ask.id, planned.allowance, ask.jti, planned.tokens(ask.demand))
        reservation = admitted(
            ask, wish.standing, planned, charges, self._rates.left(planned.allowance), self._now, self._changes
        )
        self._touch(reservation.charged)
        self._began[ask.id] = held(reservation, ask, planned)
        self._rows.append(row(reservation, ask, wish.standing, planned))
        return reservation

    def _load(self, keys: Iterable[CounterKey]) -> Steps[None]:
        """Each counter once in a transaction: what was judged since is not in the database yet."""
        more = [key for key in dict.fromkeys(keys) if key not in self._loaded]
        self._loaded.update(more)
        yield from self._memory.tallies.load(more, anew=self._anew)

    def _touch(self, keys: Iterable[CounterKey]) -> None:
        self._touched.update(dict.fromkeys(keys))


def _tries(
    found: list[tuple[Allowance, list[Charge]]], demand: Demand
) -> Iterable[tuple[Allowance, list[Charge], Plan | CallRefused]]:
    """First the accesses in order, the call as it is; then the one with the most left, with the call cut to its money."""
    for allowance, charges in found:
        yield allowance, charges, plan(allowance, demand, None)
    richest, charges = max(found, key=lambda pair: tightest(pair[1]).tally.left)
    yield richest, charges, plan(richest, demand, MicroUSD(tightest(charges).tally.left))


def _over(charges: list[Charge], planned: Plan, demand: Demand) -> CallRefused | None:
    """The refusal by the first counter that the hold does not fit into."""
    full = next((charge for charge in charges if not charge.fits(planned.hold)), None)
    return None if full is None else exhausted(full, charges, planned, demand)
