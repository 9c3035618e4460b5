"""Everything that a person lent, sorted and summed up; each grant in outline, so that a thousand of them are quick."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.details import BadDetails, parse_details
from broker.core.grant import LIVE, GrantState, state_at
from broker.ledger import history
from broker.ledger.outline import Line, lines_of_user
from broker.ledger.overall_used import Used, above_keys
from broker.providers.registry import Registry, label
from broker.store import lent
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Client, Credential, User
from broker.web.chart import start_of
from broker.web.lent import app_name, has_key
from broker.web.tags import Tag, tag_of
from broker.web.words import clock_time, listed, local, money, zone_of

_UNVERIFIED = 3


@dataclass(frozen=True, slots=True)
class Waiting:
    request_id: str
    name: str
    asks: str


@dataclass(frozen=True, slots=True)
class AccessOutline:
    ends_at: int
    is_reached: bool
    has_key: bool


@dataclass(frozen=True, slots=True)
class Outline:
    """A grant as the list needs to know it: where it stands in it, and what it adds to the sums above."""

    grant_id: str
    state: GrantState
    tag: Tag
    verified: bool
    used_at: int
    spendable: tuple[tuple[str, int], ...]
    """The most it could still come to on each key, what is reserved included."""

    def place(self) -> tuple[int, int]:
        """What needs a look comes first, then what was used last."""
        return self.tag.urgency if self.verified else min(self.tag.urgency, _UNVERIFIED), -self.used_at


@dataclass(frozen=True, slots=True)
class Overview:
    live: list[Outline]
    ended: list[Outline]
    waiting: list[Waiting]
    spent: int
    most: Mapping[str, int]
    """Of each key that has a limit for all apps together, the most that is left of that."""

    @property
    def active(self) -> int:
        return sum(each.state is GrantState.ACTIVE for each in self.live)

    @property
    def spendable(self) -> int:
        """Everything left in the limits of active apps and of their keys, what is reserved in them included."""
        by_key: Counter[str] = Counter()
        for each in self.live:
            for key_id, amount in each.spendable if each.state is GrantState.ACTIVE else ():
                by_key[key_id] += amount
        return sum(min(amount, self.most.get(key_id, amount)) for key_id, amount in by_key.items())


async def read_overview(tx: AsyncSession, registry: Registry, user: User, now: int) -> Overview:
    keys = await _keys(tx, registry, user.id, now)
    every = await _outlines(tx, keys, user.id, now)
    today = local(now, user.zone)
    month = start_of(date(today.year, today.month, 1), zone_of(user.zone))
    return Overview(
        live=sorted((each for each in every if each.state in LIVE), key=Outline.place),
        ended=[each for each in every if each.state not in LIVE],
        waiting=[_waiting(*row, user.zone) for row in await lent.waiting_for(tx, user.id, now)],
        spent=await history.spent_since(tx, user.id, month),
        most={key_id: key.most for key_id, key in keys.items() if key.most is not None},
    )


async def _keys(tx: AsyncSession, registry: Registry, user_id: str, now: int) -> "dict[str, _Key]":
    lending = await lent.keys_of(tx, user_id)
    above = await above_keys(tx, user_id, lending, now)
    return {key.id: _key(key, registry, above.get(key.id, ())) for key in lending}


async def _outlines(tx: AsyncSession, keys: "dict[str, _Key]", user_id: str, now: int) -> list[Outline]:
    used = await history.last_uses_of_user(tx, user_id)
    lines = await lines_of_user(tx, user_id, now)
    grants = groupby(lines, key=lambda line: line.grant_id)
    return [_outline([*its], keys, used.get(grant_id, 0), now) for grant_id, its in grants]


@dataclass(frozen=True, slots=True)
class _Key:
    is_there: bool
    is_reached: bool
    """Whether a limit above the grants that use it is."""
    most: int | None
    """What is left in these limits, what is reserved included; what all spend at a provider is not told."""


def _key(row: Credential, registry: Registry, above: Sequence[Used]) -> _Key:
    told = [each.money for each in above if each.limit.scope_kind != "provider"]
    left = [(money.remaining or 0) + money.held for money in told if money.limit is not None]
    return _Key(has_key(row, registry), any(each.is_reached for each in above), min(left, default=None))


def _outline(lines: list[Line], keys: dict[str, _Key], used: int, now: int) -> Outline:
    first = lines[0]
    accesses = [
        AccessOutline(line.ends_at, line.is_reached or _is_stopped(line, key), key.is_there)
        for line in lines
        if line.ends_at is not None and line.credential_id is not None
        for key in (keys[line.credential_id],)
    ]
    state = state_at(first.state, max((access.ends_at for access in accesses), default=0), now)
    used_at = used or first.created_at
    running = (line for line in lines if line.ends_at is not None and line.ends_at > now)
    spendable = tuple((_only_key(line), (line.money_left or 0) + (line.money_held or 0)) for line in running)
    tag = tag_of(state, accesses, used_at, now)
    return Outline(first.grant_id, state, tag, bool(first.verified), used_at, spendable)


def _is_stopped(line: Line, key: _Key) -> bool:
    """By a limit above it; where there are other keys, its calls go on with these."""
    return key.is_reached and not line.strategy


def _only_key(line: Line) -> str:
    return "" if line.strategy else line.credential_id or ""


def _waiting(request: GrantRequest, client: Client, zone: str) -> Waiting:
    try:
        asked = parse_details(request.asked)
    except BadDetails:
        asked = ()
    parts = [
        f"to spend up to {money(element.budget.amount, 'limit')} on {label(element.provider)}"
        if element.budget
        else f"to use {label(element.provider)}"
        for element in asked
    ]
    asks = f"asks {listed(parts)}. The request ends at {clock_time(request.ends_at, zone)}."
    return Waiting(request.id, app_name(client), asks)
