"""Limits above the access: of what all that a person's key, their tier's allocation or a provider is used for comes to."""

from collections.abc import Iterable
from typing import NamedTuple

from broker.core import period
from broker.ledger.keys import CounterKey
from broker.ledger.statements import AccessRow
from broker.store.limit_tables import OVERALL_SCOPES


class Overall(NamedTuple):
    """One of them, as a call of one access is charged to it."""

    scope_kind: str
    scope_id: str
    """Of its counters: user id/credential id, user id, or the provider's name."""
    budget: int | None
    max_requests: int | None
    per: str
    anchor_day: int
    is_owners: bool
    """Whether the person whose grant it is set it, on a key of their own, and can change it."""

    def limits(self, now: int) -> dict[CounterKey, int]:
        """Its counters now, and the limit that each would be opened with."""
        start = period.start(self.per, now, self.anchor_day)
        figures = {"money": self.budget, "requests": self.max_requests}
        return {
            CounterKey(self.scope_kind, self.scope_id, measure, self.per, start): limit
            for measure, limit in figures.items()
            if limit is not None
        }


def overall_of(rows: Iterable[AccessRow]) -> tuple[Overall, ...]:
    """Of one access: it has a row for each of its limits. A key's limit for one user goes before the one for each."""
    found: dict[str, AccessRow] = {}
    for row in rows:
        if row.limit_kind is not None and (row.limit_kind not in found or not is_for_each(row.limit_id)):
            found[row.limit_kind] = row
    return tuple(_overall(found[kind]) for kind in OVERALL_SCOPES if kind in found)


def key_scope(user_id: str, credential_id: str) -> str:
    """A user's use of a key; of no user in particular, what stands for each who has no limit of their own there."""
    return f"{user_id}/{credential_id}"


def is_for_each(scope_id: str) -> bool:
    return scope_id.startswith("/")


def _overall(row: AccessRow) -> Overall:
    scope_ids = {"credential": key_scope(row.user_id, row.key_id), "tier": row.user_id, "provider": row.provider}
    return Overall(
        row.limit_kind or "",
        scope_ids[row.limit_kind or ""],
        row.limit_budget,
        row.limit_requests,
        row.limit_per,
        row.anchor_day,
        row.limit_kind == "credential" and row.key_user_id == row.user_id,
    )
