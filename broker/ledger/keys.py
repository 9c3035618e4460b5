"""Which counters a call is charged to."""

import json
from functools import lru_cache
from typing import NamedTuple

from broker.core import period


class CounterKey(NamedTuple):
    """The primary key of a counter row."""

    scope_kind: str
    scope_id: str
    measure: str
    period_kind: str
    period_start: int

    def is_money(self) -> bool:
        return self.measure == "money"


def money_key(access_id: str, per: str, now: int) -> CounterKey:
    return CounterKey("access", access_id, "money", per, period.start(per, now))


def requests_key(access_id: str) -> CounterKey:
    return CounterKey("access", access_id, "requests", "grant", 0)


def token_scope(jti: str, access_id: str) -> str:
    """A capped token has counters of its own for each access it narrows."""
    return f"{jti}/{access_id}"


@lru_cache(maxsize=4096)
def dump_keys(keys: tuple[CounterKey, ...]) -> str:
    return json.dumps(keys, separators=(",", ":"))


def load_keys(stored: str) -> list[CounterKey]:
    return [CounterKey(*parts) for parts in json.loads(stored)]
