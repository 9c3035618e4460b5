"""Sums that grow by addition: rows are added to what stands under their key, or begin it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, case
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

_INSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


async def add(
    connection: AsyncConnection, table: Table, sums: Mapping[tuple[Any, ...], Mapping[str, int]], *, latest: str = ""
) -> None:
    """`sums` are figures by primary key; each is added, but of `latest` the greater one stays.

    They are written in the order of their keys: two that add at once wait for each other, and never in a circle.
    """
    if not sums:
        return
    names = [column.name for column in table.primary_key]
    insert = _INSERT[connection.dialect.name](table)
    values = {column.name: _sum(column, insert.excluded, latest) for column in table.c if column.name not in names}
    upsert = insert.on_conflict_do_update(index_elements=table.primary_key, set_=values)
    await connection.execute(upsert, _rows(names, sums))


def _sum(there: Any, new: Any, latest: str) -> Any:
    other = new[there.name]
    return case((other > there, other), else_=there) if there.name == latest else there + other


def _rows(names: Collection[str], sums: Mapping[tuple[Any, ...], Mapping[str, int]]) -> Sequence[dict[str, Any]]:
    return [dict(zip(names, key, strict=True)) | dict(sums[key]) for key in sorted(sums)]
