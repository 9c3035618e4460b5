"""How much in how long, as the commands that limit a key, a tier or a provider are told it."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from broker.cli.command import wrong
from broker.core.counted import counted
from broker.core.money import MicroUSD, parse_decimal, to_decimal
from broker.ledger.overall_limits import Terms
from broker.store.limit_tables import OverallLimit

NONE = "none"
MOST_REQUESTS = 10**12

Budget = Annotated[
    str | None, typer.Option(metavar="USD", help="The most that may be spent, such as 20; none for no limit.")
]
Requests = Annotated[
    str | None, typer.Option(metavar="N", help="The most requests that may be made; none for no limit.")
]


class Per(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"

    @property
    def kind(self) -> str:
        return "grant" if self is Per.TOTAL else self.value


PerOption = Annotated[
    Per | None, typer.Option("--per", help="The UTC calendar period that it is counted in; a month if not said.")
]

_WORDS = {"grant": "in total", "day": "a day", "week": "a week", "month": "a month", "tier": "a month"}


def terms_of(row: OverallLimit | None, kind: str = Per.MONTH.kind) -> Terms:
    return Terms(None, None, kind) if row is None else Terms(row.budget, row.max_requests, row.per)


def changed(before: Terms, budget: str | None, requests: str | None, per: Per | None = None) -> Terms | None:
    """What was not said stays as it was; None once nothing is limited."""
    after = before if per is None else replace(before, per=per.kind)
    if budget is not None:
        after = replace(after, budget=None if budget == NONE else _amount(budget))
    if requests is not None:
        after = replace(after, max_requests=None if requests == NONE else _number(requests))
    return None if after.budget is None and after.max_requests is None else after


def in_words(terms: Terms | OverallLimit | None) -> str:
    """$20.00 and 1,000 requests a month; empty for no limit."""
    if terms is None:
        return ""
    budget = [] if terms.budget is None else [f"${to_decimal(MicroUSD(terms.budget))}"]
    requests = [] if terms.max_requests is None else [counted(terms.max_requests, "request")]
    return f"{' and '.join(budget + requests)} {_WORDS[terms.per]}"


def _amount(text: str) -> int:
    amount = parse_decimal(text.removeprefix("$"))
    if amount is None:
        wrong(f"{text!r} is no amount of dollars, such as 20 or 0.50.")
    return amount


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > MOST_REQUESTS:
        wrong(f"{text!r} is no number of requests.")
    return int(text)
