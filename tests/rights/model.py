"""What was given and to whom, in plain Python: what a call may do, worked out without a database."""

from dataclasses import dataclass, field

PRICE = 10**8
"""Of a million tokens read, in micro-dollars."""
COST = 20_000
"""Micro-dollars of each call that is made, at this price: 100 tokens read, and 50 written at twice the price."""
MOST_HELD = 1_000_000
"""More than any of these calls holds while it runs."""


@dataclass
class Lent:
    """One access of a grant, under the terms that a person chose last; instants in seconds."""

    models: set[str]
    budget: int
    ends: int
    spent: int = 0


@dataclass
class Grant:
    id: str
    lent: dict[str, Lent] = field(default_factory=dict)
    """By provider."""
    is_paused: bool = False
    is_revoked: bool = False

    def live(self, now: int) -> dict[str, Lent]:
        return {} if self.is_revoked else {name: one for name, one in self.lent.items() if one.ends > now}


@dataclass
class Family:
    grant: Grant
    refresh_token: str
    is_revoked: bool = False

    def is_live(self, now: int) -> bool:
        return not self.is_revoked and bool(self.grant.live(now))


@dataclass
class Cap:
    """What one token was narrowed to, of one access."""

    of: Lent
    models: set[str]
    budget: int
    spent: int = 0


@dataclass
class Token:
    text: str
    family: Family
    ends: int
    caps: dict[str, Cap] | None
    is_revoked: bool = False
    parent: "Token | None" = None
    """What it was made out of (RFC 8693)."""

    @property
    def line(self) -> "list[Token]":
        """Itself and all that it was made out of."""
        return [self] if self.parent is None else [self, *self.parent.line]

    def usable(self, now: int) -> dict[str, Lent]:
        """The accesses that it can use, by provider: never one that a token above it cannot."""
        if self.is_revoked or self.family.is_revoked or self.ends <= now:
            return {}
        live = self.family.grant.live(now) if self.parent is None else self.parent.usable(now)
        if self.caps is None:
            return live
        return {name: one for name, one in live.items() if name in self.caps and self.caps[name].of is one}

    def models(self, provider: str, lent: Lent) -> set[str]:
        return lent.models.intersection(*(cap.models for cap in self._caps(provider)))

    def most(self, provider: str, lent: Lent) -> int:
        """What it could spend in all, had nothing been spent."""
        return min([lent.budget, *(cap.budget for cap in self._caps(provider))])

    def left(self, provider: str, lent: Lent) -> int:
        return min([lent.budget - lent.spent, *(cap.budget - cap.spent for cap in self._caps(provider))])

    def _caps(self, provider: str) -> list[Cap]:
        return [token.caps[provider] for token in self.line if token.caps is not None]

    def verdicts(self, provider: str, model: str, now: int) -> set[str]:
        """What a call of this token may come to; empty for one that is made."""
        usable = self.usable(now)
        if not usable:
            return {"invalid_token"}
        if self.family.grant.is_paused:
            return {"grant_paused"}
        if provider not in usable:
            return {"provider_not_granted"}
        if model not in self.models(provider, usable[provider]):
            return {"model_not_granted"}
        left = self.left(provider, usable[provider])
        if left < COST:
            return {"budget_exhausted"}
        return {""} if left >= MOST_HELD else {"", "budget_exhausted"}

    def spend(self, provider: str) -> None:
        self.family.grant.lent[provider].spent += COST
        for cap in self._caps(provider):
            cap.spent += COST
