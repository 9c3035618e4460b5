"""The books in plain Python: what they must say after each step, worked out without a database."""

from dataclasses import dataclass, field

from broker.core import period
from broker.core.grant import GrantEvent, GrantState, target
from broker.core.usage import Usage
from broker.ledger.settle import Ending

Key = tuple[str, str, int]
"""Measure, kind of period, start of the period."""

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
    keys: tuple[Key, Key]
    doomed: bool
    mark: str = ""


def cost(usage: Usage) -> int:
    """At one micro-dollar for each token read and two for each written."""
    return usage.input_tokens + 2 * usage.output_tokens


@dataclass
class Model:
    budget: int
    max_requests: int
    per: str = "grant"
    state: GrantState = GrantState.ACTIVE
    lines: dict[Key, Line] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)

    def keys(self, now: int) -> tuple[Key, Key]:
        return ("money", self.per, period.start(self.per, now)), ("requests", "grant", 0)

    def open(self, now: int) -> tuple[Line, Line]:
        """The two lines of a call, which come into being when they are first needed."""
        money, requests = self.keys(now)
        self.lines.setdefault(money, Line(self.budget, self.budget))
        self.lines.setdefault(requests, Line(self.max_requests, self.max_requests))
        return self.lines[money], self.lines[requests]

    def expect(self, now: int, read: int, written: int | None, whole: int) -> int | str:
        """The hold of a call, or the code of its refusal; `written` None lets the broker choose up to `whole`."""
        if self.state is not GrantState.ACTIVE:
            return {"paused": "grant_paused", "frozen": "grant_frozen"}.get(self.state.value, "invalid_token")
        money = self.lines.get(self.keys(now)[0], Line(self.budget, self.budget))
        requests = self.lines[self.keys(now)[1]]
        hold = read + 2 * (whole if written is None else written)
        if written is None and hold > money.left >= read + 2 * LEAST:
            hold = read + 2 * ((money.left - read) // 2)
        if hold > money.left:
            return "budget_exhausted"
        return hold if requests.left >= 1 else "requests_exhausted"

    def admit(self, call_id: str, now: int, hold: int, *, doomed: bool) -> None:
        money, requests = self.open(now)
        money.held += hold
        requests.held += 1
        self.calls[call_id] = Call(hold, self.keys(now), doomed)

    def settle(self, call_id: str, ending: Ending) -> None:
        call = self.calls[call_id]
        if call.mark:
            self._after(call, ending)
            return
        call.mark = ending.mark
        money, requests = (self.lines[key] for key in call.keys)
        true = call.hold if ending.usage is None else cost(ending.usage)
        ran = ending.mark != "not_run"
        money.held -= call.hold
        requests.held -= 1
        if ran:
            money.settled += min(true, call.hold)
            money.overrun += max(0, true - call.hold)
            requests.settled += 1
        if ran and true > call.hold:
            self.move(GrantEvent.FREEZE)
        money.sink()
        requests.sink()

    def _after(self, call: Call, ending: Ending) -> None:
        if call.mark != "unresolved" or ending.mark == "not_run":
            return
        call.mark = ending.mark
        if ending.usage is not None and cost(ending.usage) > call.hold:
            self.lines[call.keys[0]].overrun += cost(ending.usage) - call.hold
            self.move(GrantEvent.FREEZE)

    def change(self, now: int) -> None:
        """The limits have been set to what `budget`, `max_requests` and `per` now say."""
        for line, figure in zip(self.open(now), (self.budget, self.max_requests), strict=True):
            line.target = figure
            line.sink()

    def move(self, event: GrantEvent) -> bool:
        new = target(self.state, event)
        self.state = new or self.state
        return new is not None
