"""What ended long ago and serves nobody any more: sign-ins, tries, requests with their codes, idempotency keys, tokens, notes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, and_, delete, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from broker.core.clock import DAY
from broker.core.counted import of_number
from broker.core.handle import new_id
from broker.store import grant_tables, ledger_tables, limit_tables, object_tables, tables
from broker.store.database import Database

TABLE_MODULES = (grant_tables, ledger_tables, limit_tables, object_tables, tables)
"""Named so that importing this module is importing the tables."""

_TABLES = SQLModel.metadata.tables
_ATTEMPT, _SESSION, _REFRESH = _TABLES["attempt"], _TABLES["session"], _TABLES["refresh_token"]
_CODE, _REQUEST, _SEEN = _TABLES["code"], _TABLES["grant_request"], _TABLES["seen"]
_DEVICE, _RECEIPT = _TABLES["device"], _TABLES["consent_receipt"]
_KEY, _WINDOW = _TABLES["idempotency_key"], _TABLES["rate_window"]
_OBJECT = _TABLES["provider_object"]
_TOKEN, _CALL, _ACCESS = _TABLES["access_token"], _TABLES["reservation"], _TABLES["access"]

_NEAR = _TABLES["threshold"]
_LONGEST = {"day": 1, "week": 7, "month": 31, "tier": 31}
"""Days that a period has at most, by its kind."""
_JTI = len(new_id("tok"))
"""With which the id of a token's counters begins."""

READ = 1_000
WRITE = 200
PAUSE = 0.02
"""Seconds between two transactions, in which a server writes."""


class Words(NamedTuple):
    """What so many of them are called."""

    one: str
    several: str = ""

    def of(self, number: int) -> str:
        return of_number(number, self.one, self.several)


@dataclass(frozen=True, slots=True)
class Kind:
    words: Words
    table: Table
    old: Callable[[int], ColumnElement[bool]]

    @property
    def key(self) -> Any:
        """The column, or the row of columns, that names one."""
        columns = list(self.table.primary_key)
        return tuple_(*columns) if columns[1:] else columns[0]


def _is_wanted_after(until: int) -> ColumnElement[bool]:
    """Whether a request still has a code of either kind, or a receipt, which is for both sides to keep."""
    codes = select(_CODE.c.digest).where(_CODE.c.request_id == _REQUEST.c.id, _CODE.c.ends_at > until)
    devices = select(_DEVICE.c.digest).where(_DEVICE.c.request_id == _REQUEST.c.id, _DEVICE.c.ends_at > until)
    receipts = select(_RECEIPT.c.id).where(_RECEIPT.c.request_id == _REQUEST.c.id)
    return or_(codes.exists(), devices.exists(), receipts.exists())


def _is_named(until: int) -> ColumnElement[bool]:
    """Whether a call that stays names it: one of its grant's that was admitted in its time and runs, or ended later."""
    call = select(_CALL.c.id).join(_ACCESS, _ACCESS.c.id == _CALL.c.access_id)
    named = call.where(_ACCESS.c.grant_id == _TOKEN.c.grant_id, _CALL.c.jti == _TOKEN.c.jti)
    stays = or_(_CALL.c.ended_at.is_(None), _CALL.c.ended_at > until)
    return named.where(_CALL.c.admitted_at.between(_TOKEN.c.created_at, _TOKEN.c.ends_at), stays).exists()


def _has_child() -> ColumnElement[bool]:
    child = _TOKEN.alias()
    return select(child.c.jti).where(child.c.parent_jti == _TOKEN.c.jti).exists()


def _is_over(until: int) -> ColumnElement[bool]:
    """Whether nobody comes near to that limit any more: its period has passed, or what it limits has ended."""
    scope, period = _NEAR.c.scope_kind, _NEAR.c.period_kind
    rolled = [and_(period == kind, _NEAR.c.period_start <= until - days * DAY) for kind, days in _LONGEST.items()]
    access = select(_ACCESS.c.id).where(_ACCESS.c.id == _NEAR.c.scope_id)
    lives = access.where(or_(_ACCESS.c.ended_at.is_(None), _ACCESS.c.ended_at > until), _ACCESS.c.ends_at > until)
    token = select(_TOKEN.c.jti).where(_TOKEN.c.jti == func.substr(_NEAR.c.scope_id, 1, _JTI), _TOKEN.c.ends_at > until)
    ended = or_(and_(scope == "access", ~lives.exists()), and_(scope == "token", ~token.exists()))
    return or_(*rolled, and_(period == "grant", ended))


_NOTES = Words("note of a limit that was nearly reached", "notes of limits that were nearly reached")
KINDS = (
    Kind(Words("try to sign in", "tries to sign in"), _ATTEMPT, lambda until: _ATTEMPT.c.at <= until),
    Kind(Words("session"), _SESSION, lambda until: _SESSION.c.ends_at <= until),
    Kind(Words("proof or assertion", "proofs and assertions"), _SEEN, lambda until: _SEEN.c.ends_at <= until),
    Kind(Words("idempotency key"), _KEY, lambda until: _KEY.c.taken_at <= until),
    Kind(
        Words("name of what providers kept", "names of what providers kept"),
        _OBJECT,
        lambda until: _OBJECT.c.ends_at <= until,
    ),
    Kind(Words("last minute of a rate", "last minutes of rates"), _WINDOW, lambda until: _WINDOW.c.moved_at <= until),
    Kind(_NOTES, _NEAR, lambda until: and_(_NEAR.c.at <= until, _is_over(until))),
    Kind(Words("refresh token"), _REFRESH, lambda until: _REFRESH.c.ends_at <= until),
    Kind(
        Words("access token"), _TOKEN, lambda until: and_(_TOKEN.c.ends_at <= until, ~_is_named(until), ~_has_child())
    ),
    Kind(Words("code"), _CODE, lambda until: _CODE.c.ends_at <= until),
    Kind(Words("device code"), _DEVICE, lambda until: _DEVICE.c.ends_at <= until),
    Kind(Words("request"), _REQUEST, lambda until: and_(_REQUEST.c.ends_at <= until, ~_is_wanted_after(until))),
)
"""In this order: a request goes after its codes, and all after the calls."""


async def count(db: Database, kind: Kind, until: int) -> int:
    async def work(connection: AsyncConnection) -> int:
        query = select(func.count()).select_from(kind.table).where(kind.old(until))
        return int((await connection.execute(query)).scalar_one())

    return await db.read_core(work)


async def remove(db: Database, kind: Kind, until: int, pause: float = PAUSE) -> int:
    """Deletes what ended up to an instant, in short transactions; gives the number of rows."""
    removed, last = 0, None
    while keys := await db.read_core(partial(_keys, kind=kind, until=until, last=last)):
        for start in range(0, len(keys), WRITE):
            removed += await db.write_core(partial(_delete, kind=kind, until=until, keys=keys[start : start + WRITE]))
            await asyncio.sleep(pause)
        last = keys[-1]
    return removed


async def _keys(connection: AsyncConnection, kind: Kind, until: int, last: Any) -> list[Any]:
    columns = list(kind.table.primary_key)
    query = select(*columns).where(kind.old(until)).order_by(*columns).limit(READ)
    rows = (await connection.execute(query if last is None else query.where(kind.key > last))).all()
    return [tuple(row) if columns[1:] else row[0] for row in rows]


async def _delete(connection: AsyncConnection, kind: Kind, until: int, keys: list[Any]) -> int:
    return (await connection.execute(delete(kind.table).where(kind.key.in_(keys), kind.old(until)))).rowcount
