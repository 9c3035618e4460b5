"""A counter row as it is judged in memory, beside the figures that the database must still have when it is written."""

from collections.abc import Iterable
from dataclasses import dataclass

from broker.ledger.crossed import NOTE, Crossed, crossings
from broker.ledger.keys import CounterKey
from broker.ledger.settle import Settled
from broker.ledger.statements import COUNTERS, MOVE_COUNTER, NEW_COUNTER
from broker.store.steps import Steps

MOST_KEPT = 50_000
MONEY = "money"
PROVIDER = "provider"


class Stale(Exception):
    """The database no longer has the figures that were judged: nothing of this transaction may stay."""


@dataclass(slots=True)
class Tally:
    limit: int
    """What is enforced: max(target, settled + held) while a lowered limit sinks."""
    target: int
    settled: int = 0
    held: int = 0
    overrun: int = 0
    stored: tuple[int, ...] | None = None
    """As the database has it; None for a row that is not there yet."""

    @property
    def figures(self) -> tuple[int, int, int, int, int]:
        return self.limit, self.target, self.settled, self.held, self.overrun

    @property
    def left(self) -> int:
        return self.limit - self.settled - self.overrun - self.held

    @property
    def at_rest(self) -> int:
        """What would be left if everything held came back: of a lowered limit, that of the figure typed."""
        return self.target - self.settled - self.overrun

    def end(self, held: int, settled: int, overrun: int) -> None:
        """A lowered limit sinks with every ending until it is the figure typed."""
        self.held -= held
        self.settled += settled
        self.overrun += overrun
        self.limit = max(self.target, self.settled + self.held)


class Tallies:
    """The counters of the books that were used of late; what is written is confirmed by the row it is written to."""

    def __init__(self) -> None:
        self._kept: dict[CounterKey, Tally] = {}
        self.touched: dict[CounterKey, Tally] = {}
        """What the transaction that is open has moved."""
        self._crossed: list[Crossed] = []

    def __getitem__(self, key: CounterKey) -> Tally:
        return self._kept[key]

    def have_room(self, keys: Iterable[CounterKey], hold: int) -> bool:
        """Whether each is known, and has this much left, or one request; False is no refusal, but a reason to look closer."""
        for key in keys:
            tally = self._kept.get(key)
            # One that was opened for a call that was refused has no row that would tell of a limit typed since.
            if tally is None or (tally.stored is None and not tally.held):
                return False
            if tally.limit - tally.settled - tally.overrun - tally.held < (hold if key[2] == MONEY else 1):
                return False
        return True

    def forget(self, keys: Iterable[CounterKey]) -> None:
        for key in keys:
            self._kept.pop(key, None)

    def load(self, keys: Iterable[CounterKey], *, anew: bool) -> Steps[None]:
        """Reads the rows that are not known, or all of them anew, which on PostgreSQL locks them in one order."""
        missing = sorted(keys if anew else (key for key in keys if key not in self._kept))
        if not missing:
            return
        self.forget(missing)
        for row in (yield COUNTERS, missing):
            limit, target, settled, held, overrun = figures = row[5:]
            self._kept[CounterKey(*row[:5])] = Tally(limit, target, settled, held, overrun, figures)

    def confirm(self, keys: Iterable[CounterKey]) -> Steps[None]:
        """Raises Stale unless the database has the rows as they are known: what is refused is not written, only read."""
        known = {key: self._kept[key].stored for key in keys}
        if not known:
            return
        found = {CounterKey(*row[:5]): row[5:] for row in (yield COUNTERS, sorted(known))}
        if any(found.get(key) != stored for key, stored in known.items()):
            raise Stale

    def open(self, key: CounterKey, limit: int) -> Tally:
        """The row of a key, made in memory for a period that has just begun."""
        tally = self._kept.get(key)
        # One that was opened for a call that was refused has no row that would tell of a limit typed since.
        if tally is None or (tally.stored is None and tally.settled == tally.held == 0):
            tally = self._kept[key] = Tally(limit, limit)
        return tally

    def take(self, charged: Iterable[CounterKey], hold: int) -> tuple[int, int]:
        """Holds it, and one request; gives what is left in the tightest counter of money, and what is held there.

        Of a provider's counter, where others hold too, what the access itself holds is given instead.
        """
        tightest: Tally | None = None
        told: Tally | None = None
        for key in charged:
            tally = self.touched[key] = self._kept[key]
            if key[2] != MONEY:
                tally.held += 1
                continue
            tally.held += hold
            if tightest is None or tally.left < tightest.left:
                tightest = tally
                told = tally if told is None or key[0] != PROVIDER else told
        if tightest is None or told is None:
            raise LookupError("a call is charged to no money")
        return tightest.left, told.held

    def shift(self, old: Iterable[CounterKey], new: Iterable[CounterKey], hold: int) -> None:
        """A hold, and its request, go from some counters to others."""
        for keys, sign in ((old, -1), (new, 1)):
            for key in keys:
                tally = self.touched[key] = self._kept[key]
                if sign < 0:
                    tally.end(hold if key[2] == MONEY else 1, 0, 0)
                else:
                    tally.held += hold if key[2] == MONEY else 1

    def book(self, charged: Iterable[CounterKey], hold: int, settled: Settled, *, ran: bool) -> None:
        for key in charged:
            tally = self.touched[key] = self._kept[key]
            before = tally.settled + tally.overrun
            if key[2] == MONEY:
                tally.end(hold, settled.cost, settled.overrun)
            else:
                tally.end(1, int(ran), 0)
            used = tally.settled + tally.overrun
            if used != before and used * 2 >= tally.target:
                self._crossed += crossings(key, tally.target, before, used)

    def write(self, now: int) -> Steps[None]:
        """What was taken and booked. Raises Stale when a row is not what it was when it was judged."""
        new, moved = [], []
        for key, tally in self.touched.items():
            figures, stored = tally.figures, tally.stored
            if stored is None:
                new.append((*key, *figures))
            else:  # also where one gives back what another takes: the limit may have been typed anew
                limit, _, settled, held, overrun = figures
                moved.append((limit, settled, held, overrun, *key, *stored))
        # In one order: two brokers that make the same rows would wait for each other.
        for statement, rows in ((MOVE_COUNTER, moved), (NEW_COUNTER, sorted(new))):
            if rows and len((yield statement, rows)) != len(rows):
                raise Stale
        if self._crossed:
            yield NOTE, sorted(each.row(now) for each in self._crossed)

    def committed(self) -> None:
        for crossed in self._crossed:
            crossed.tell()
        self._crossed.clear()
        for tally in self.touched.values():
            tally.stored = tally.figures
        self.touched.clear()

    def make_room(self) -> bool:
        """Whether there were too many: then all are forgotten."""
        is_full = len(self._kept) > MOST_KEPT
        if is_full:
            self._kept.clear()
        return is_full

    def undone(self) -> None:
        self.forget(self.touched)
        self.touched.clear()
        self._crossed.clear()
