"""One transaction of the books: endings first, since they give back what admissions may take."""

from collections import Counter
from collections.abc import Iterable, Sequence

from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.core.left import Left
from broker.core.money import MAX_MONEY, MicroUSD
from broker.ledger.ask import Ask, GoOn, Reservation, WentOn
from broker.ledger.charges import Charge, counters_of, figures_of
from broker.ledger.frozen import freeze
from broker.ledger.going_on import GoingOn
from broker.ledger.idempotency import Repeats
from broker.ledger.judge import Demand, Plan, check_state, covering, foremost, plan
from broker.ledger.keys import CounterKey
from broker.ledger.late import end_late, held_of
from broker.ledger.memory import Memory
from broker.ledger.pool import awake, ordered
from broker.ledger.rates import Rates, limited
from broker.ledger.ready import Ready, make_ready, use_of
from broker.ledger.settle import Close, Ended, Held, Settled
from broker.ledger.standing import Allowance
from broker.ledger.statements import END, HOLD, REPRICE, RESERVATIONS
from broker.ledger.wish import Wish, over, tries
from broker.store.steps import Steps

Operation = Ask | Close | GoOn
Answer = Reservation | Settled | WentOn | Exception

_End = tuple[int, Close, Held, Ended]
"""An ending with its place among the operations, what was held, and what it comes to."""
_Known = tuple[int, Ask, Ready]

_ODD = (CallRefused, ArithmeticError, LookupError, TypeError, ValueError)
"""What judging one call may raise without harm to the others."""


class Transaction:
    """`steps` does the operations and gives their answers in order; `committed` or `undone` tells how that went on."""

    def __init__(self, operations: Sequence[Operation], memory: Memory, now: int, *, anew: bool) -> None:
        self._operations = operations
        self._memory = memory
        self._tallies = memory.tallies
        self._now = now
        self._anew = anew
        """Whether counters are read again, rather than believed until the write."""
        self._rates = Rates(memory.rates, now)
        self._repeats = Repeats(now)
        self._answers: list[Answer] = [_NO_ANSWER] * len(operations)
        self._loaded: set[CounterKey] = set()
        self._ended: list[_End] = []
        self._began: dict[str, Held] = {}
        self._rows: list[tuple[object, ...]] = []

    def steps(self) -> Steps[list[Answer]]:
        """Raises Stale when what was believed was not so: then nothing was done, and it is to be tried anew."""
        closes = [(place, op) for place, op in enumerate(self._operations) if isinstance(op, Close)]
        asks = [(place, op) for place, op in enumerate(self._operations) if isinstance(op, Ask)]
        late = (yield from self._end(closes)) if closes else []
        known, wishes = yield from self._hear(asks)
        yield from self._load(self._charged(known, wishes))
        if (yield from self._end_late_and_freeze(late)):
            # The next call of a grant that was frozen may stand in this very transaction.
            known, wishes = yield from self._hear(asks)
            yield from self._load(self._charged(known, wishes))
        scopes = [pair for _, _, ready in known for pair in ready.scopes]
        scopes += [pair for wish in wishes for each, _ in wish.found for pair in limited(each)]
        yield from self._rates.recall([each for _, _, each, _ in self._ended], scopes)
        yield from self._book()
        if goings := [(place, op) for place, op in enumerate(self._operations) if isinstance(op, GoOn)]:
            going = GoingOn(self._memory, self._load, self._tallies, self._began, self._now)
            answers = yield from going.each(goings, {each[1].reservation_id for each in self._ended})
            for place, answer in answers:
                self._answers[place] = answer
        yield from self._rates.load(scopes)
        yield from self._admit(known, wishes)
        if self._rows:
            yield HOLD, self._rows
        yield from self._rates.keep()
        yield from self._tallies.write(self._now)
        yield from self._repeats.write()
        if not self._anew:
            yield from self._memory.entries.fold()
        return self._answers

    def committed(self) -> None:
        self._rates.committed()
        self._tallies.committed()
        for _, close, _, _ in self._ended:
            self._memory.running.pop(close.reservation_id, None)
        self._memory.running |= self._began
        self._memory.entries.committed(len(self._ended))
        self._memory.make_room()

    def undone(self) -> None:
        self._rates.undone()
        self._tallies.undone()
        self._memory.undone()

    # Endings.

    def _end(self, closes: list[tuple[int, Close]]) -> Steps[list[tuple[int, Close]]]:
        """Ends what is held; gives what had ended before."""
        running = self._memory.running
        unknown = [op.reservation_id for _, op in closes if op.reservation_id not in running]
        found = (yield from held_of(unknown)) if unknown else {}
        first: dict[str, _End] = {}
        late = []
        for place, close in closes:
            each = running.get(close.reservation_id) or found.get(close.reservation_id)
            if each is None or close.reservation_id in first:
                late.append((place, close))
                continue
            first[close.reservation_id] = place, close, each, each.end(close, self._now)
        rows = [ended.row for _, _, _, ended in first.values()]
        done = (yield END, rows) if rows else []
        self._ended = list(first.values())
        if len(done) == len(rows):
            return late
        ours = {reservation_id for (reservation_id,) in done}
        self._ended = [each for each in first.values() if each[1].reservation_id in ours]
        for place, close, _, _ in first.values():
            if close.reservation_id not in ours:
                running.pop(close.reservation_id, None)
                late.append((place, close))
        return late

    def _book(self) -> Steps[None]:
        if repriced := [(ended.price, close.reservation_id) for _, close, _, ended in self._ended if ended.price]:
            yield REPRICE, repriced
        for place, _, each, ended in self._ended:
            settled = ended.settled
            self._tallies.book(each.charged, each.hold, settled, ran=ended.ran)
            self._rates.end(each, reached=ended.seen, tokens=ended.tokens)
            self._answers[place] = settled

    def _end_late_and_freeze(self, late: list[tuple[int, Close]]) -> Steps[bool]:
        """Whether tokens may be worth less than was heard, since a call was billed beyond its bound.

        Grants after the counters of all that ended in time, as whoever else locks both; a deadlock is tried again.
        """
        yield from self._end_late(late)
        beyond = [(close, each, ended) for _, close, each, ended in self._ended if ended.settled.overrun]
        for close, each, ended in beyond:
            yield from freeze(close.reservation_id, each, ended.settled, self._now)
            self._memory.doubt()
        return bool(late or beyond)

    def _end_late(self, late: list[tuple[int, Close]]) -> Steps[None]:
        """One after the other: what one has learnt, the next finds, and so do admissions."""
        for place, close in late:
            found = yield RESERVATIONS, [(close.reservation_id,)]
            if not found:
                self._answers[place] = BrokerError(detail=f"no reservation {close.reservation_id}")
                continue
            self._answers[place] = yield from end_late(found[0], close, self._load, self._tallies, self._now)
            self._memory.doubt()

    # Admissions.

    def _hear(self, asks: list[tuple[int, Ask]]) -> Steps[tuple[list[_Known], list[Wish]]]:
        """Those whose worker has a lease and whose token covers them; the others have their answers."""
        if not asks:
            return [], []
        memory, now = self._memory, self._now
        yield from memory.refresh([ask for _, ask in asks], now)
        known: list[_Known] = []
        wishes: list[Wish] = []
        for place, ask in asks:
            if memory.leases.get(ask.boot_id, 0) <= now:
                self._answers[place] = Unavailable(detail="the lease of this worker has ended in the books")
                continue
            ready = memory.ready.get(use_of(ask))
            if ready is not None and ready.serves(ask.demand, now):
                known.append((place, ask, ready))
            else:
                self._wish(place, ask, wishes)
        return known, wishes

    def _wish(self, place: int, ask: Ask, wishes: list[Wish]) -> None:
        try:
            found = self._memory.standings.get(ask.jti)
            standing = check_state(None if found is None else found.at(self._now))
            allowances = awake(covering(standing, ask.demand), self._now)
            charges = [(each, counters_of(each, self._now)) for each in allowances]
            wishes.append(Wish(place, ask, standing, charges))
        except Exception as error:  # of one call, and no other in this transaction
            self._answers[place] = error

    def _admit(self, known: list[_Known], wishes: list[Wish]) -> Steps[None]:
        yield from self._repeats.load([*(ask for _, ask, _ in known), *(wish.ask for wish in wishes)])
        for place, ask, ready in known:
            if ask.key is not None and (repeated := self._repeats.judge(ask.key)) is not None:
                self._answers[place] = repeated
                continue
            planned = self._at_sight(ask.demand, ready)
            if planned is None:
                self._wish(place, ask, wishes)
            else:
                self._answers[place] = self._take(ask, ready, planned)
        for wish in wishes:
            try:
                self._answers[wish.place] = yield from self._judge(wish)
            except _ODD as error:
                self._answers[wish.place] = error

    def _at_sight(self, demand: Demand, ready: Ready) -> Plan | None:
        """What the call is admitted with if nothing is in its way; None where it has to be looked at more closely."""
        try:
            planned = plan(ready.allowance, demand, None)
        except _ODD:
            return None
        if not isinstance(planned, Plan) or planned.hold > MAX_MONEY:
            return None
        fits = self._tallies.have_room(ready.charged, planned.hold)
        return planned if fits and self._rates.roomy(ready.scopes, planned.tokens(demand)) else None

    def _judge(self, wish: Wish) -> Steps[Reservation | CallRefused]:
        ask, tallies = wish.ask, self._tallies
        if ask.key is not None and (repeated := self._repeats.judge(ask.key)) is not None:
            return repeated
        found = [(each, [Charge(k, tallies.open(k, limit)) for k, limit in keys.items()]) for each, keys in wish.found]
        found = yield from ordered(found, ask.demand.conversation, self._pending, self._now)
        refusals = {}
        for allowance, charges, planned in tries(found, ask.demand):
            answer = planned if isinstance(planned, CallRefused) else over(charges, planned, ask.demand)
            if answer is None and isinstance(planned, Plan):
                scopes, tokens = limited(allowance), planned.tokens(ask.demand)
                if (yield from self._rates.fit(scopes, tokens)):
                    return self._take(ask, self._made_ready(wish, allowance, charges), planned)
                answer = yield from self._rates.too_fast(scopes, tokens)
            # What an access says to the call cut for its money stands, not what it said to the whole.
            refusals[allowance.access_id] = answer
        keys = [key for _, keys in wish.found for key in keys]
        # What was read anew is locked; but a row that was not there then may be there by now.
        yield from tallies.confirm([key for key in keys if tallies[key].stored is None] if self._anew else keys)
        return self._with_what_is_left(found, refusals)

    def _with_what_is_left(
        self, found: list[tuple[Allowance, list[Charge]]], refusals: dict[str, CallRefused | None]
    ) -> CallRefused:
        refusal = foremost(refusal for refusal in refusals.values() if refusal is not None)
        allowance, charges = next(pair for pair in found if refusals[pair[0].access_id] is refusal)
        refusal.left = Left(*figures_of(charges), self._rates.left(allowance))
        return refusal

    def _made_ready(self, wish: Wish, allowance: Allowance, charges: list[Charge]) -> Ready:
        charged = [charge.key for charge in charges]
        ready = make_ready(wish.standing, allowance, wish.ask.demand, charged, self._now)
        if len(wish.found) == 1 and not allowance.pooled:
            self._memory.ready[use_of(wish.ask)] = ready
        return ready

    def _take(self, ask: Ask, ready: Ready, planned: Plan) -> Reservation:
        demand, hold, allowance = ask.demand, planned.hold, ready.allowance
        tokens = planned.tokens(demand)
        left, held = self._tallies.take(ready.charged, hold)
        self._rates.add(ready.scopes, tokens)
        if ask.key is not None:
            self._repeats.take(ask.key, ask.id)
        price = demand.price
        self._began[ask.id] = Held(
            ready.grant_id, demand.provider, demand.model, hold, price, ready.charged, tokens, ready.counted, self._now
        )  # fmt: skip
        self._rows.append((
            ask.id, *ready.same, int(demand.streamed), hold, ready.stored_keys, price.text, demand.input_bound,
            planned.output_bound, tokens, ask.boot_id, self._now,
        ))  # fmt: skip
        return Reservation(
            ask.id, ask.jti, price, ready.grant_id, allowance.access_id, allowance.credential, hold, planned.output_max,
            MicroUSD(left), MicroUSD(held), self._now, allowance.ends_at, self._memory.changes,
            self._rates.left(allowance), demand.wish in allowance.actions, allowance.pooled,
        )  # fmt: skip

    def _charged(self, known: list[_Known], wishes: list[Wish]) -> list[CounterKey]:
        """The counters of what ended and of what is asked."""
        keys = [key for _, _, each, _ in self._ended for key in each.charged]
        keys += [key for _, _, ready in known for key in ready.charged]
        return keys + [key for wish in wishes for _, limits in wish.found for key in limits]

    def _pending(self, access_id: str) -> Counter[str]:
        return Counter(str(row[5]) for row in self._rows if row[2] == access_id)

    def _load(self, keys: Iterable[CounterKey]) -> Steps[None]:
        """Each counter once in a transaction: what was judged since is not in the database yet."""
        more = set(keys).difference(self._loaded)
        self._loaded |= more
        yield from self._tallies.load(more, anew=self._anew)


_NO_ANSWER = Unavailable(detail="a transaction left it without an answer")
