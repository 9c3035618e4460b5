"""The books in plain Python: what they must say after each step, worked out without a database."""

from dataclasses import dataclass, field

from broker.core import period
from broker.core.access import RateLimit, lesser
from broker.core.clock import MINUTE
from broker.core.grant import GrantEvent, GrantState, target
from broker.core.usage import Usage
from broker.ledger.settle import Ending

Key = tuple[str, str, str, int]
"""Scope, measure, kind of period, start of the period."""

LEAST = 16


@dataclass
class Line:
    target: int
    limit: int
    settled: int = 0
    held: int = 0
    overrun: int = 0

    @property
    def left(self) -> int:
        return self.limit - self.settled - self.held - self.overrun

    def sink(self) -> None:
        self.limit = max(self.target, self.settled + self.held)


@dataclass
class Call:
    hold: int
    keys: tuple[Key, ...]
    doomed: bool
    at: int
    tokens: int
    """As tokens a minute count them."""
    mark: str = ""
    reached: bool = True

    @property
    def is_capped(self) -> bool:
        return any(key[0] == "token" for key in self.keys)


@dataclass
class Above:
    """A limit above the grant: of a key, of a tier from its anchor day, of a provider."""

    budget: int | None
    requests: int | None
    per: str
    anchor_day: int = 1


ABOVE = ("credential", "tier", "provider")


def cost(usage: Usage) -> int:
    """At one micro-dollar for each token read and two for each written."""
    return usage.input_tokens + 2 * usage.output_tokens


def _over(figure: int, limit: int | None) -> bool:
    return limit is not None and figure > limit


@dataclass
class Model:
    """One access, the token that is worth all of it, one that is capped to a budget a day and some requests, and an agent's.

    They are told apart by their depth: the agent's was made out of the capped one, and its calls count in both.
    """

    budget: int
    max_requests: int
    cap_budget: int
    cap_requests: int
    cap_rates: RateLimit
    rates: RateLimit
    agent_budget: int
    agent_requests: int
    per: str = "grant"
    state: GrantState = GrantState.ACTIVE
    lines: dict[Key, Line] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    above: dict[str, Above] = field(default_factory=dict)

    def limits(self, now: int, *, depth: int) -> dict[Key, int]:
        """What a call is charged to, in the order in which it is judged, each with the limit it would begin with."""
        limits: dict[Key, int] = {
            ("access", "money", self.per, period.start(self.per, now)): self.budget,
            ("access", "requests", "grant", 0): self.max_requests,
        }
        if depth > 1:
            limits["agent", "money", "grant", 0] = self.agent_budget
            limits["agent", "requests", "grant", 0] = self.agent_requests
        if depth:
            limits["token", "money", "day", period.start("day", now)] = self.cap_budget
            limits["token", "requests", "grant", 0] = self.cap_requests
        for scope in ABOVE:
            limits |= self._limits_above(scope, now)
        return limits

    def _limits_above(self, scope: str, now: int) -> dict[Key, int]:
        if scope not in self.above:
            return {}
        given = self.above[scope]
        start = period.start(given.per, now, given.anchor_day)
        figures = {"money": given.budget, "requests": given.requests}
        return {(scope, name, given.per, start): figure for name, figure in figures.items() if figure is not None}

    def set_above(self, scope: str, given: Above, now: int) -> None:
        self.above[scope] = given
        for key, figure in self._limits_above(scope, now).items():
            line = self.lines.setdefault(key, Line(figure, figure))
            line.target = figure
            line.sink()

    def open(self, now: int, *, depth: int = 0) -> list[Line]:
        """The lines of a call, which come into being when they are first needed."""
        limits = self.limits(now, depth=depth)
        return [self.lines.setdefault(key, Line(limit, limit)) for key, limit in limits.items()]

    def expect(self, now: int, read: int, written: int | None, whole: int, *, depth: int = 0) -> int | str:
        """The hold of a call, or the code of its refusal; `written` None lets the broker choose up to `whole`."""
        if self.state is not GrantState.ACTIVE:
            return {"paused": "grant_paused", "frozen": "grant_frozen"}.get(self.state.value, "invalid_token")
        limits = self.limits(now, depth=depth)
        lines = {key: self.lines.get(key, Line(limit, limit)) for key, limit in limits.items()}
        money_left = min(line.left for key, line in lines.items() if key[1] == "money")
        answer: int | str = ""
        for left in (None, money_left):
            output = self._output(read, written, whole, left, depth=depth)
            answer = "not_boundable" if output is None else self._judge(lines, now, read, output, depth=depth)
            if isinstance(answer, int):
                return answer
        return answer

    def _output(self, read: int, written: int | None, whole: int, left: int | None, *, depth: int) -> int | None:
        output = whole if written is None else written
        minute = lesser(self.rates.tokens_per_minute, self.cap_rates.tokens_per_minute if depth else None)
        if minute is not None and read + output > minute:
            output = minute - read
            if written is not None or output < LEAST:
                return None
        if left is not None and written is None and (left - read) // 2 >= LEAST:
            output = min(output, (left - read) // 2)
        return output

    def _judge(self, lines: dict[Key, Line], now: int, read: int, output: int, *, depth: int) -> int | str:
        hold = read + 2 * output
        for (_, measure, *_), line in lines.items():
            if (hold if measure == "money" else 1) > line.left:
                return "budget_exhausted" if measure == "money" else "requests_exhausted"
        return self._too_fast(now, read + output, depth=depth) or hold

    def _too_fast(self, now: int, tokens: int, *, depth: int) -> str:
        """By every call of the last minute that the provider saw, and by those that still run."""
        crowded = False
        for limits, calls in self._scopes(depth=depth):
            seen = [call.tokens for call in calls if call.at > now - MINUTE and call.reached]
            running = sum(not call.mark for call in calls)
            if _over(len(seen) + 1, limits.requests_per_minute) or _over(sum(seen) + tokens, limits.tokens_per_minute):
                return "rate_limited"
            crowded = crowded or _over(running + 1, limits.concurrent)
        return "too_many_concurrent" if crowded else ""

    def _scopes(self, *, depth: int) -> list[tuple[RateLimit, list[Call]]]:
        calls = list(self.calls.values())
        scopes = [(self.rates, calls)]
        return [*scopes, (self.cap_rates, [call for call in calls if call.is_capped])] if depth else scopes

    def admit(self, call_id: str, now: int, read: int, hold: int, *, doomed: bool, depth: int = 0) -> None:
        keys = tuple(self.limits(now, depth=depth))
        self.open(now, depth=depth)
        for key in keys:
            self.lines[key].held += hold if key[1] == "money" else 1
        self.calls[call_id] = Call(hold, keys, doomed, now, read + (hold - read) // 2)

    def settle(self, call_id: str, ending: Ending) -> None:
        call = self.calls[call_id]
        if call.mark:
            self._after(call, ending)
            return
        call.mark = ending.mark
        true = call.hold if ending.usage is None else cost(ending.usage)
        ran = ending.mark != "not_run"
        call.reached = ran or ending.reached
        if ending.usage is not None:
            call.tokens = ending.usage.input_tokens + ending.usage.output_tokens
        for key in call.keys:
            self._end(self.lines[key], call, true, is_money=key[1] == "money", ran=ran)
        if ran and true > call.hold:
            self.move(GrantEvent.FREEZE)

    def _end(self, line: Line, call: Call, true: int, *, is_money: bool, ran: bool) -> None:
        line.held -= call.hold if is_money else 1
        if ran and is_money:
            line.settled += min(true, call.hold)
            line.overrun += max(0, true - call.hold)
        elif ran:
            line.settled += 1
        line.sink()

    def _after(self, call: Call, ending: Ending) -> None:
        if call.mark != "unresolved" or ending.mark == "not_run":
            return
        call.mark = ending.mark
        if ending.usage is not None and cost(ending.usage) > call.hold:
            for key in call.keys:
                self.lines[key].overrun += (cost(ending.usage) - call.hold) * (key[1] == "money")
            self.move(GrantEvent.FREEZE)

    def change(self, now: int) -> None:
        """The limits have been set to what `budget`, `max_requests` and `per` now say."""
        own = [
            self.lines.setdefault(key, Line(limit, limit)) for key, limit in [*self.limits(now, depth=0).items()][:2]
        ]
        for line, figure in zip(own, (self.budget, self.max_requests), strict=True):
            line.target = figure
            line.sink()

    def move(self, event: GrantEvent) -> bool:
        new = target(self.state, event)
        self.state = new or self.state
        return new is not None
