"""Whatever is done to the books, by whomever and in whatever order: they say what the model says, and no limit is passed."""

import asyncio
import json
import os
from collections import Counter as Bag
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
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

from broker.core.access import RateLimit
from broker.core.errors import CallRefused
from broker.core.grant import GrantEvent
from broker.ledger import recalled
from broker.ledger.books import OwnBooks
from broker.ledger.judge import Demand
from broker.ledger.reserve import Reservation, Reserver
from broker.ledger.settle import Close, Ending
from broker.store.ledger_tables import Counter
from tests.books.model import ABOVE, Above, Line, Model
from tests.books.steps import ABOVE_IT, DEPTHS, ENDINGS, MOVES, RATES
from tests.books.world import Books, demand
from tests.stores import Store
from tests.turned_clock import TurnedClock

T = TypeVar("T")

WHOLE = 150
LEASE = 30
PROCESSES = 3
EXAMPLES, STEPS = int(os.environ.get("PROOF_SEEDS", "8")), 30

ANY_OF_THEM = st.integers(0, PROCESSES - 1)


class Ledger(RuleBasedStateMachine):
    """Three processes with memories of their own, the third with its own way to the database.

    Each has two leases: one lives, the other is doomed to lapse whenever the clock is turned.
    """

    store: Store
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.anchor_day = 0
        self.store.clear()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize(
        budget=st.integers(200, 1_500), requests=st.integers(3, 12), rates=RATES,
        cap=st.tuples(st.integers(0, 900), st.integers(1, 8)), cap_rates=RATES,
        agent=st.tuples(st.integers(100, 900), st.integers(2, 8)),
    )  # fmt: skip
    def lend(
        self,
        budget: int,
        requests: int,
        rates: RateLimit,
        cap: tuple[int, int],
        cap_rates: RateLimit,
        agent: tuple[int, int],
    ) -> None:
        self.books = self.run(self._open())
        self.model = Model(budget, requests, *cap, cap_rates, rates, *agent)
        self.key = self.run(self.books.lent_key())
        terms: dict[str, Any] = {"budget": budget, "max_requests": requests, **_columns(rates)}
        self.lent = self.run(self.books.lend(credential_id=self.key, **terms))
        capped = self.run(self._token(self._cap()))
        self.agent = self.run(self._token(self._agents_cap(), parent_jti=capped))
        self.tokens = (self.lent.jti, capped, self.agent)
        self.model.open(self.books.clock())
        self.doom()

    async def _open(self) -> Books:
        books = Books(self.store.open(), TurnedClock())
        self.elsewhere = self.store.open()
        self.processes = [books.own, books.others, OwnBooks(self.elsewhere, books.clock)]
        await books.open()
        return books

    def _cap(self) -> dict[str, Any]:
        budget = {"amount": f"0.{self.model.cap_budget:06d}", "currency": "USD", "per": "day"}
        rates = {name: figure for name, figure in _columns(self.model.cap_rates).items() if figure is not None}
        usual: dict[str, Any] = {"models": ["*"], "actions": ["chat"], "budget": budget}
        return {**usual, "max_requests": self.model.cap_requests, "rate_limit": rates}

    def _agents_cap(self) -> dict[str, Any]:
        budget = {"amount": f"0.{self.model.agent_budget:06d}", "currency": "USD", "per": "grant"}
        return {"models": ["*"], "actions": ["chat"], "budget": budget, "max_requests": self.model.agent_requests}

    async def _token(self, cap: dict[str, Any], **more: Any) -> str:
        return await self.books.token(self.lent.grant_id, caps=json.dumps({self.lent.access_id: cap}), **more)

    def doom(self) -> None:
        self.doomed = self.books.new_lease(LEASE)
        self.run(self.doomed.take())

    @rule(
        target=calls, read=st.integers(1, 120), written=st.integers(0, 60) | st.none(),
        by=ANY_OF_THEM, doomed=st.booleans(), depth=DEPTHS,
    )  # fmt: skip
    def reserve(self, read: int, written: int | None, by: int, doomed: bool, depth: int) -> Any:
        expected = self.model.expect(self.books.clock(), read, written, WHOLE, depth=depth)
        asked = demand(input_bound=read, own_output=written, model_output=WHOLE)
        given = self.run(self._outcome(by, asked, doomed=doomed, depth=depth))
        if isinstance(given, CallRefused):
            assert given.code == expected
            return multiple()
        assert given.hold == expected
        self.model.admit(given.id, self.books.clock(), read, given.hold, doomed=doomed, depth=depth)
        return given

    @rule(
        target=calls,
        read=st.integers(1, 120),
        written=st.integers(0, 60),
        depth=DEPTHS,
        many=st.integers(2, 9),
    )
    def reserve_many_at_once(self, read: int, written: int, depth: int, many: int) -> Any:
        """Over all processes: one wants what the other does, so it is known what they come to and not who is first."""
        asked = demand(input_bound=read, own_output=written, model_output=WHOLE)
        given = self.run(self._outcomes(asked, many, depth=depth))
        held = [each for each in given if isinstance(each, Reservation)]
        now, found = self.books.clock(), Bag(each.code for each in given if isinstance(each, CallRefused))
        for each in held:
            assert each.hold == self.model.expect(now, read, written, WHOLE, depth=depth)
            self.model.admit(each.id, now, read, each.hold, doomed=False, depth=depth)
        refused = self.model.expect(now, read, written, WHOLE, depth=depth)
        assert found == Bag({refused: many - len(held)} if found else {})
        return multiple(*held)

    async def _outcomes(self, asked: Demand, many: int, *, depth: int) -> list[Reservation | CallRefused]:
        tries = (self._outcome(n % PROCESSES, asked, doomed=False, depth=depth) for n in range(many))
        return await asyncio.gather(*tries)

    async def _outcome(self, by: int, asked: Demand, *, doomed: bool, depth: int) -> Reservation | CallRefused:
        lease = self.doomed if doomed else self.books.lease
        try:
            return await Reserver(self.processes[by], self.books.clock, lease)(self.tokens[depth], asked)
        except CallRefused as refusal:
            return refusal

    @rule(call=consumes(calls), ending=ENDINGS, by=ANY_OF_THEM)
    def settle(self, call: Reservation, ending: Ending, by: int) -> None:
        self.run(self._settle(call, ending, by))
        self.model.settle(call.id, ending)

    @rule(call=calls, ending=ENDINGS, by=ANY_OF_THEM)
    def settle_and_perhaps_again(self, call: Reservation, ending: Ending, by: int) -> None:
        self.settle(call, ending, by)

    async def _settle(self, call: Reservation, ending: Ending, by: int) -> None:
        await self.processes[by].submit(Close(call.id, ending))

    @rule(by=ANY_OF_THEM)
    def forget_all(self, by: int) -> None:
        """A process ends without a word, and another takes its place."""
        self.run(self._replace(by))

    async def _replace(self, by: int) -> None:
        await self.processes[by].close()
        self.processes[by] = OwnBooks(self.elsewhere, self.books.clock)
        self.books.own, self.books.others, _ = self.processes  # what sweeps is the process that is there now

    @rule(seconds=st.sampled_from([1, 20, LEASE, 86_400, 7 * 86_400]))
    def turn_the_clock_and_sweep(self, seconds: int) -> None:
        self.books.clock.turn(seconds)
        swept = self.run(self.books.sweep())
        if self.doomed.is_good:
            assert swept == 0
            return
        lost = [call_id for call_id, call in self.model.calls.items() if call.doomed and not call.mark]
        assert swept == len(lost)
        for call_id in lost:
            self.model.settle(call_id, Ending("unresolved", "process_died"))
        self.doom()

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

    @rule(scope=st.sampled_from(ABOVE), given=ABOVE_IT)
    def limit_what_is_above_the_grant(self, scope: str, given: Above) -> None:
        if scope == "tier":
            given = replace(given, per="tier")
        self.run(self._limit(scope, given))
        if scope == "tier":
            # Whoever is in the tier already has the limit from the day they were put in with, then from the new one.
            if self.anchor_day:
                self.model.set_above(scope, replace(given, anchor_day=self.anchor_day), self.books.clock())
            self.anchor_day = given.anchor_day
        self.model.set_above(scope, given, self.books.clock())

    async def _limit(self, scope: str, given: Above) -> None:
        figures = {"budget": given.budget, "max_requests": given.requests}
        await self.books.limit(scope, self._named(scope), given.per, **figures)
        if scope == "tier":
            await self.books.tier("plus", given.anchor_day)

    def _named(self, scope: str) -> str:
        return {"credential": f"/{self.key}", "tier": "plus", "provider": "openai"}[scope]

    @rule(scope=st.sampled_from(ABOVE))
    def take_a_limit_above_the_grant_away(self, scope: str) -> None:
        there = self.model.above.pop(scope, None) is not None
        assert self.run(self.books.unlimit(scope, self._named(scope))) == there

    @rule(rates=RATES)
    def type_other_rates(self, rates: RateLimit) -> None:
        self.model.rates = rates
        self._change(**_columns(rates))

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
            (self._scope(row), row.measure, row.period_kind, row.period_start): Line(
                row.target, row.limit, row.settled, row.held, row.overrun
            )
            for row in rows
        }
        assert found == self.model.lines
        assert all(line.settled + line.held <= line.limit for line in found.values())
        assert self.run(self.books.state(self.lent.grant_id)) == self.model.state.value
        assert not self.run(self.books.fault())

    def _scope(self, row: Counter) -> str:
        return "agent" if row.scope_id.startswith(f"{self.agent}/") else row.scope_kind

    def teardown(self) -> None:
        self.run(self.books.db.close())
        self.run(self.elsewhere.close())
        self.runner.close()


def _columns(rates: RateLimit) -> dict[str, int | None]:
    return {name: getattr(rates, name) for name in ("requests_per_minute", "tokens_per_minute", "concurrent")}


def test_the_books_are_right_after_every_step(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    # One step follows the other, so nobody admits by limits that have changed meanwhile.
    monkeypatch.setattr(recalled, "SETTLES", 0)

    class OnStore(Ledger):
        pass

    OnStore.store = store
    run_state_machine_as_test(OnStore, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS))
