"""A grant in words: all that its object says, for whoever sits before the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from broker.core.clock import from_seconds, utc
from broker.core.counted import counted
from broker.core.money import MicroUSD, to_decimal
from broker.ledger.view import Wire

_PERIODS = {"grant": "in total"}


def lines(told: Wire) -> Iterator[str]:
    """Of the object that `grant show --json` prints; each access stands below the grant."""
    yield f"{told['grant_id']}  {told['state']}  for {told['client_id']}, since {_at(told['created_at'])}"
    accesses: Any = told["access"]
    granted: Any = told["authorization_details"]
    for access, details in zip(accesses, granted, strict=True):
        yield f"  {access['provider']}: {', '.join(access['models'])} ({', '.join(access['actions'])})"
        for line in (_money(access["budget"]), _requests(access["requests"]), _rates(access), _rest(access, details)):
            yield f"    {line}"


def _money(budget: Mapping[str, Any]) -> str:
    spent, limit, held, left, over = (
        f"${to_decimal(MicroUSD(budget[name]))}" for name in ("settled", "limit", "held", "remaining", "overrun")
    )
    resets = "" if budget["resets_at"] is None else f"; begins again on {_at(budget['resets_at'])}"
    period = _PERIODS.get(budget["per"], f"a {budget['per']}")
    return f"{spent} of {limit} {period}; {held} held, {left} left, {over} over{resets}"


def _requests(requests: Mapping[str, Any]) -> str:
    limit = requests["limit"]
    return f"{requests['used']:,} of {'any number of requests' if limit is None else counted(limit, 'request')}"


def _rates(access: Mapping[str, Any]) -> str:
    rates, longest = access["rate_limit"], access["max_output_tokens"]
    return ", ".join((
        f"{_most(rates['requests_per_minute'], 'request')} a minute",
        f"{_most(rates['tokens_per_minute'], 'token')} a minute",
        f"{_most(rates['concurrent'], 'call')} at once",
        "answers of any length" if longest is None else f"answers of at most {counted(longest, 'token')}",
    ))  # fmt: skip


def _rest(access: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    places = f" at {', '.join(details['locations'])}" if details.get("locations") else ""
    return f"until {_at(access['expires_at'])}, by the key that the app knows as {details['identifier']}{places}"


def _most(limit: int | None, noun: str) -> str:
    return f"any number of {noun}s" if limit is None else f"at most {counted(limit, noun)}"


def _at(seconds: Any) -> str:
    return utc(from_seconds(seconds))
