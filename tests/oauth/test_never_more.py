"""Whatever an app asks, narrows and renews, and whatever its person takes back: no call does what its grant forbids."""

import asyncio
import json
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import hypothesis
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from broker.core.access import first_excess
from broker.core.clock import to_seconds
from broker.core.grant import GrantEvent
from broker.settings import Settings
from broker.store.accesses import as_granted
from tests.oauth.conftest import opened
from tests.oauth.furniture import Furniture
from tests.oauth.histories import History, Token, begun
from tests.oauth.published import PublishedWeb
from tests.stores import Store

T = TypeVar("T")

EXAMPLES, STEPS = int(os.environ.get("PROOF_SEEDS", "8")), 30
"""`make prove` tells how many; a few look at the machine itself."""

MODELS = ("*", "gpt-*", "gpt-4o", "gpt-4o-mini", "claude-*")
ACTIONS = ("chat", "embeddings", "images")
CALLED = ("gpt-4o", "gpt-4o-mini", "gpt-5", "claude-haiku-4-5")
PROVIDERS = st.sampled_from(("openai", "openai", "anthropic"))


def some(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)


def dollars(micro: int) -> dict[str, str]:
    return {"amount": f"0.{micro:06d}", "currency": "USD"}


BUDGETS = st.integers(10_000, 40_000).map(dollars)
LIMITS = st.integers(1, 6)
WISH = st.fixed_dictionaries(
    {
        "type": st.just("ai_model_access"),
        "provider": PROVIDERS,
        "models": some(MODELS),
        "actions": some(ACTIONS),
        "budget": BUDGETS,
        "expires_in": st.sampled_from((3_600, 86_400)),
    },
    optional={"max_requests": LIMITS},
)
NARROWING = st.none() | st.lists(
    st.fixed_dictionaries(
        {"type": st.just("ai_model_access"), "provider": PROVIDERS},
        optional={
            "models": some(MODELS),
            "actions": some(ACTIONS),
            "budget": st.integers(1_000, 40_000).map(dollars),
            "max_requests": LIMITS,
            "expires_in": st.just(1_800),
        },
    ),
    min_size=1,
    max_size=2,
)
WHICH = st.integers(0, 30)
MOVES = st.sampled_from([GrantEvent.PAUSE, *[GrantEvent.RESUME] * 4, GrantEvent.REVOKE])


class Histories(RuleBasedStateMachine):
    store: Store
    configured: Settings
    furniture: Furniture

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store.clear()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize()
    def begin(self) -> None:
        self.opening = opened(self.store, self.configured, PublishedWeb(), self.furniture)
        self.history: History = self.run(self._begun())

    async def _begun(self) -> History:
        return await begun(await self.opening.__aenter__())

    @rule(
        wish=st.lists(WISH, min_size=1, max_size=2),
        action=st.sampled_from(("", "create", "merge", "replace")),
        which=WHICH,
        share=st.integers(1, 10),
        narrowing=NARROWING,
    )
    def ask(self, wish: Any, action: str, which: int, share: int, narrowing: Any) -> None:
        named = self._one(which)
        request_id = self.run(self.history.ask(wish, action, named.grant_id if named else "grt_none"))
        if request_id is None:
            assert action in ("merge", "replace")
            return
        given = self.run(self.history.approve(request_id, share))
        if given is None:
            return
        # What is refused leaves the code usable.
        assert self.run(self.history.exchange(given[0], narrowing)) or self.run(self.history.exchange(given[0], None))
        self.no_more_was_said_than_granted(self.history.tokens[-1])

    def _one(self, which: int) -> Token | None:
        tokens = self.history.tokens
        return tokens[which % len(tokens)] if tokens else None

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, narrowing=NARROWING)
    def refresh(self, which: int, narrowing: Any) -> None:
        token = self._one(which)
        assert token is not None
        took = self.run(self.history.refresh(token, narrowing))
        if took:
            assert token.family not in self.history.dead
            assert token.grant_id not in self.history.ended
            self.no_more_was_said_than_granted(self.history.tokens[-1])

    def no_more_was_said_than_granted(self, token: Token) -> None:
        rows = self.run(self.history.live(token.grant_id))
        granted = [as_granted(row, self.history.client.id) for row in rows]
        assert all(any(first_excess(said, whole) is None for whole in granted) for said in token.said)
        assert token.capped or len(token.said) == len(granted)

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, pattern=WHICH, budget=st.integers(1_000, 12_000))
    def refresh_with_less(self, which: int, pattern: int, budget: int) -> None:
        token = self._one(which)
        assert token is not None
        said = token.said[pattern % len(token.said)]
        less = {"models": [said.models[pattern % len(said.models)]], "budget": dollars(budget)}
        self.refresh(which, [{"type": "ai_model_access", "provider": said.provider, **less}])

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, narrowing=NARROWING)
    def hand_down(self, which: int, narrowing: Any) -> None:
        token = self._one(which)
        assert token is not None
        if self.run(self.history.hand_down(token, narrowing)):
            child = self.history.tokens[-1]
            assert child.ends_at <= token.ends_at
            if token.capped:
                assert all(any(first_excess(said, whole) is None for whole in token.said) for said in child.said)

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, pattern=WHICH, budget=st.none() | st.integers(1_000, 12_000))
    def hand_down_less(self, which: int, pattern: int, budget: int | None) -> None:
        token = self._one(which)
        assert token is not None
        said = token.said[pattern % len(token.said)]
        less = {"models": [said.models[pattern % len(said.models)]]} | (
            {} if budget is None else {"budget": dollars(budget)}
        )
        self.hand_down(which, [{"type": "ai_model_access", "provider": said.provider, **less}])

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH)
    def give_back(self, which: int) -> None:
        token = self._one(which)
        assert token is not None
        answer = self.run(self.history.world.revoke(self.history.client, token.refresh))
        assert answer.status_code == 200
        self.history.dead.add(token.family)

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, event=MOVES)
    def move(self, which: int, event: GrantEvent) -> None:
        token = self._one(which)
        assert token is not None
        if not self.run(self.history.move(token.grant_id, event)):
            return
        if event is GrantEvent.REVOKE:
            self.history.ended.add(token.grant_id)
        elif event is GrantEvent.PAUSE:
            self.history.paused.add(token.grant_id)
        else:
            self.history.paused.discard(token.grant_id)

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, budget=st.integers(1_000, 40_000), models=some(MODELS))
    def lower(self, which: int, budget: int, models: list[str]) -> None:
        token = self._one(which)
        assert token is not None
        self.run(self.history.lower(token.grant_id, budget=budget, models=json.dumps(models)))

    @rule(seconds=st.sampled_from((1, 60, 60, 1_900, 4_000)))
    def turn(self, seconds: int) -> None:
        self.history.world.clock.turn(seconds)

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, provider=PROVIDERS, model=st.sampled_from(CALLED), action=st.sampled_from(ACTIONS))
    def call(self, which: int, provider: str, model: str, action: str) -> None:
        """Anything at all; the next rule asks for what may well be granted."""
        self.try_to_call(which, provider, model, action)

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, element=WHICH, pattern=WHICH, action=WHICH, times=st.integers(1, 4))
    def call_what_was_said(self, which: int, element: int, pattern: int, action: int, times: int) -> None:
        token = self._one(which)
        assert token is not None
        said = token.said[element % len(token.said)]
        model = said.models[pattern % len(said.models)].replace("*", "gpt-4o" if said.models == ("*",) else "4o")
        for _ in range(times):
            self.try_to_call(which, said.provider, model, said.actions[action % len(said.actions)])

    @precondition(lambda self: self.history.tokens)
    @rule(which=WHICH, place=WHICH)
    def call_what_the_grant_has(self, which: int, place: int) -> None:
        """Which may be more than what this one token was narrowed to."""
        token = self._one(which)
        assert token is not None
        for row in self.run(self.history.live(token.grant_id)):
            models, actions = json.loads(row.models), json.loads(row.actions)
            model = models[place % len(models)].replace("*", "x")
            self.try_to_call(which, row.provider, model, actions[place % len(actions)])

    def try_to_call(self, which: int, provider: str, model: str, action: str) -> None:
        token = self._one(which)
        assert token is not None
        held = self.run(self.history.call(token, provider, model, action))
        if held is None:
            return
        now = to_seconds(self.history.world.clock())
        assert token.family not in self.history.dead
        assert token.grant_id not in self.history.ended | self.history.paused
        (row,) = [row for row in self.run(self.history.live(token.grant_id)) if row.id == held.access_id]
        assert (row.provider, action in json.loads(row.actions)) == (provider, True)
        assert names(json.loads(row.models), model)
        for one in token.line:
            assert now < one.ends_at
            if one.capped:
                self.no_more_was_done_than_said(one, provider, model, action)

    def no_more_was_done_than_said(self, token: Token, provider: str, model: str, action: str) -> None:
        now = to_seconds(self.history.world.clock())
        assert any(
            (said.provider, action in said.actions) == (provider, True)
            and names(list(said.models), model)
            and now < (said.expires_at or 0)
            for said in token.said
        )
        assert token.spent <= sum(said.budget.amount for said in token.said if said.budget is not None)

    def teardown(self) -> None:
        if hasattr(self, "opening"):
            self.run(self.opening.__aexit__(None, None, None))
        self.runner.close()


def names(patterns: list[str], model: str) -> bool:
    """In words of its own: the same, or beginning with what stands before the star."""
    return any(model == one or (one[-1] == "*" and model[: len(one) - 1] == one[:-1]) for one in patterns)


def test_no_history_lets_a_call_do_what_its_grant_forbids(
    fresh_sqlite: Store, settings: Settings, furniture: Furniture
) -> None:
    class Here(Histories):
        pass

    Here.store, Here.configured, Here.furniture = fresh_sqlite, settings, furniture
    run_state_machine_as_test(
        Here, settings=hypothesis.settings(max_examples=EXAMPLES, stateful_step_count=STEPS, phases=[Phase.generate])
    )
