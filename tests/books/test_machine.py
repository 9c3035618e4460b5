"""Whatever is done to the books, in whatever order: they say what the model says, and no limit is passed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker.core.errors import CallRefused
from broker.core.grant import GrantEvent
from broker.ledger.judge import Demand
from broker.ledger.reserve import Reservation, Reserver
from broker.ledger.settle import Ending
from tests.books.model import Line, Model
from tests.books.world import ESTIMATED, NOT_RUN, Books, demand, reported
from tests.stores import Store
from tests.turned_clock import TurnedClock

T = TypeVar("T")

WHOLE = 150
LEASE = 30
EXAMPLES, STEPS = 8, 25

ENDINGS = st.one_of(
    st.sampled_from([NOT_RUN, ESTIMATED]),
    st.builds(reported, st.integers(1, 120), st.integers(0, 60)),
    st.builds(reported, st.just(500), st.integers(0, 60)),
)
MOVES = st.sampled_from([GrantEvent.PAUSE, GrantEvent.RESUME, GrantEvent.UNFREEZE, GrantEvent.UNFREEZE])


class Ledger(RuleBasedStateMachine):
    """Two workers on one database: one lives, the other is doomed to lose its lease whenever the clock is turned."""

    store: Store
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store.clear()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize(budget=st.integers(200, 1_500), requests=st.integers(3, 12))
    def lend(self, budget: int, requests: int) -> None:
        self.books = self.run(self._open())
        self.lent = self.run(self.books.lend(budget=budget, max_requests=requests))
        self.model = Model(budget, requests)
        self.model.open(self.books.clock())
        self.doom()

    async def _open(self) -> Books:
        books = Books(self.store.open(), TurnedClock())
        await books.open()
        return books

    def doom(self) -> None:
        lease = self.books.new_lease(LEASE)
        self.run(lease.take())
        self.doomed = Reserver(self.books.own, self.books.clock, lease)

    @rule(target=calls, read=st.integers(1, 120), written=st.integers(0, 60), doomed=st.booleans())
    def reserve(self, read: int, written: int, doomed: bool) -> Any:
        return self._reserve(read, written, doomed=doomed)

    @rule(target=calls, read=st.integers(1, 120), doomed=st.booleans())
    def reserve_with_open_output(self, read: int, doomed: bool) -> Any:
        return self._reserve(read, None, doomed=doomed)

    def _reserve(self, read: int, written: int | None, *, doomed: bool) -> Any:
        now = self.books.clock()
        expected = self.model.expect(now, read, written, WHOLE)
        asked = demand(input_bound=read, own_output=written, model_output=WHOLE)
        held = self.run(self._outcome(self.doomed if doomed else self.books.reserver, asked))
        if isinstance(held, CallRefused):
            assert held.code == expected
            return multiple()
        assert held.hold == expected
        self.model.admit(held.id, now, held.hold, doomed=doomed)
        return held

    async def _outcome(self, reserve: Reserver, asked: Demand) -> Reservation | CallRefused:
        try:
            return await reserve(self.lent.jti, asked)
        except CallRefused as refusal:
            return refusal

    @rule(call=consumes(calls), ending=ENDINGS)
    def settle(self, call: Reservation, ending: Ending) -> None:
        self.run(self.books.settle(call, ending))
        self.model.settle(call.id, ending)

    @rule(call=calls, ending=ENDINGS)
    def settle_and_perhaps_again(self, call: Reservation, ending: Ending) -> None:
        self.settle(call, ending)

    @rule(seconds=st.sampled_from([1, LEASE, 86_400, 7 * 86_400]))
    def turn_the_clock_and_sweep(self, seconds: int) -> None:
        self.books.clock.turn(seconds)
        swept = self.run(self.books.sweep())
        if seconds < LEASE and not self._is_over():
            assert swept == 0
            return
        lost = [call_id for call_id, call in self.model.calls.items() if call.doomed and not call.mark]
        assert swept == len(lost)
        for call_id in lost:
            self.model.settle(call_id, Ending("unresolved", "process_died"))
        self.doom()

    def _is_over(self) -> bool:
        return not self.doomed._lease.is_good

    @rule(budget=st.integers(0, 2_000))
    def type_another_budget(self, budget: int) -> None:
        self.model.budget = budget
        self._change(budget=budget)

    @rule(requests=st.integers(0, 15))
    def type_another_number_of_requests(self, requests: int) -> None:
        self.model.max_requests = requests
        self._change(max_requests=requests)

    @rule(per=st.sampled_from(["grant", "day", "week"]))
    def type_another_period(self, per: str) -> None:
        self.model.per = per
        self._change(budget_per=per)

    def _change(self, **terms: Any) -> None:
        self.run(self.books.change(self.lent.access_id, **terms))
        self.model.change(self.books.clock())

    @rule(event=MOVES)
    def move(self, event: GrantEvent) -> None:
        assert self.run(self.books.move(self.lent.grant_id, event)) == self.model.move(event)

    @precondition(lambda self: len(self.model.calls) > 8)
    @rule()
    def revoke(self) -> None:
        assert self.run(self.books.move(self.lent.grant_id, GrantEvent.REVOKE)) == self.model.move(GrantEvent.REVOKE)

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        rows = self.run(self.books.counters())
        found = {
            (row.measure, row.period_kind, row.period_start): Line(
                row.target, row.limit, row.settled, row.held, row.overrun
            )
            for row in rows
        }
        assert found == self.model.lines
        assert all(line.settled + line.held <= line.limit for line in found.values())
        assert self.run(self.books.state(self.lent.grant_id)) == self.model.state.value
        assert not self.run(self.books.fault())

    def teardown(self) -> None:
        self.run(self.books.db.close())
        self.runner.close()


def test_the_books_are_right_after_every_step(store: Store) -> None:
    class OnStore(Ledger):
        pass

    OnStore.store = store
    run_state_machine_as_test(OnStore, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS))
