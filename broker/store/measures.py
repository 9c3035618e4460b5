"""What has been done so far and what runs now, for whoever watches: the same in every process, and after a restart."""

from dataclasses import dataclass

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from broker.store import grant_tables, ledger_tables

TABLE_MODULES = (grant_tables, ledger_tables)
"""Named so that importing this module is importing the tables."""

_T = SQLModel.metadata.tables
_GRANT, _ACCESS, _CALL = _T["grant"].c, _T["access"].c, _T["reservation"].c
_FIGURES = ("calls", "input_tokens", "output_tokens", "cost")


@dataclass(frozen=True, slots=True)
class Done:
    """Ended calls that ran, of one model at one provider; micro-dollars."""

    provider: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int


@dataclass(frozen=True, slots=True)
class Measures:
    done: tuple[Done, ...]
    grants: dict[str, int]
    """By state as it is stored; one that has ended by the clock alone counts under the state it had."""
    running: int
    held: int
    """Micro-dollars."""


def _columns(name: str) -> Select[tuple[object, ...]]:
    table = _T[name].c
    return select(table.access_id, table.model, *(table[figure] for figure in _FIGURES))


_ALL = union_all(_columns("usage_quarter"), _columns("usage_entry")).subquery()
_SUMS = (
    select(_ACCESS.provider, _ALL.c.model, *(func.sum(_ALL.c[figure]) for figure in _FIGURES))
    .join_from(_ALL, _T["access"], _ACCESS.id == _ALL.c.access_id)
    .group_by(_ACCESS.provider, _ALL.c.model)
    .order_by(_ACCESS.provider, _ALL.c.model)
)
_GRANTS = select(_GRANT.state, func.count()).group_by(_GRANT.state)
_HELD = select(func.count(), func.coalesce(func.sum(_CALL.hold), 0)).where(_CALL.state == "held")


async def measure(connection: AsyncConnection) -> Measures:
    done = [(provider, model, *map(int, figures)) for provider, model, *figures in await connection.execute(_SUMS)]
    grants = {str(state): int(count) for state, count in await connection.execute(_GRANTS)}
    running, held = (await connection.execute(_HELD)).one()
    return Measures(tuple(Done(*each) for each in done), grants, int(running), int(held))
