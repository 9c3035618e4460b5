"""What ended long ago and serves nobody any more: sign-ins, tries, requests with their codes, idempotency keys, tokens."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from broker.store import grant_tables, ledger_tables, object_tables, tables
from broker.store.database import Database

TABLE_MODULES = (grant_tables, ledger_tables, object_tables, tables)
"""Named so that importing this module is importing the tables."""

_TABLES = SQLModel.metadata.tables
_ATTEMPT, _SESSION, _REFRESH = _TABLES["attempt"], _TABLES["session"], _TABLES["refresh_token"]
_CODE, _REQUEST, _SEEN = _TABLES["code"], _TABLES["grant_request"], _TABLES["seen"]
_DEVICE, _RECEIPT = _TABLES["device"], _TABLES["consent_receipt"]
_KEY = _TABLES["idempotency_key"]
_OBJECT = _TABLES["provider_object"]
_TOKEN, _CALL, _ACCESS = _TABLES["access_token"], _TABLES["reservation"], _TABLES["access"]

READ = 1_000
WRITE = 200
PAUSE = 0.02
"""Seconds between two transactions, in which a server writes."""


@dataclass(frozen=True, slots=True)
class Kind:
    words: str
    table: Table
    old: Callable[[int], ColumnElement[bool]]

    @property
    def key(self) -> Any:
        return next(iter(self.table.primary_key))


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


KINDS = (
    Kind("tries to sign in", _ATTEMPT, lambda until: _ATTEMPT.c.at <= until),
    Kind("sessions", _SESSION, lambda until: _SESSION.c.ends_at <= until),
    Kind("proofs and assertions", _SEEN, lambda until: _SEEN.c.ends_at <= until),
    Kind("idempotency keys", _KEY, lambda until: _KEY.c.taken_at <= until),
    Kind("names of what providers kept", _OBJECT, lambda until: _OBJECT.c.ends_at <= until),
    Kind("refresh tokens", _REFRESH, lambda until: _REFRESH.c.ends_at <= until),
    Kind("access tokens", _TOKEN, lambda until: and_(_TOKEN.c.ends_at <= until, ~_is_named(until), ~_has_child())),
    Kind("codes", _CODE, lambda until: _CODE.c.ends_at <= until),
    Kind("device codes", _DEVICE, lambda until: _DEVICE.c.ends_at <= until),
    Kind("requests", _REQUEST, lambda until: and_(_REQUEST.c.ends_at <= until, ~_is_wanted_after(until))),
)
"""In this order: a request goes after its codes, and all after the calls."""


async def count(db: Database, kind: Kind, until: int) -> int:
    async def work(connection: AsyncConnection) -> int:
        return int((await connection.execute(select(func.count(kind.key)).where(kind.old(until)))).scalar_one())

    return await db.read_core(work)


async def remove(db: Database, kind: Kind, until: int, pause: float = PAUSE) -> int:
    """Deletes what ended up to an instant, in short transactions; gives the number of rows."""
    removed, last = 0, ""
    while keys := await db.read_core(partial(_keys, kind=kind, until=until, last=last)):
        for start in range(0, len(keys), WRITE):
            removed += await db.write_core(partial(_delete, kind=kind, until=until, keys=keys[start : start + WRITE]))
            await asyncio.sleep(pause)
        last = keys[-1]
    return removed


async def _keys(connection: AsyncConnection, kind: Kind, until: int, last: str) -> list[str]:
    query = select(kind.key).where(kind.key > last, kind.old(until)).order_by(kind.key).limit(READ)
    return list((await connection.execute(query)).scalars())


async def _delete(connection: AsyncConnection, kind: Kind, until: int, keys: list[str]) -> int:
    return (await connection.execute(delete(kind.table).where(kind.key.in_(keys), kind.old(until)))).rowcount
