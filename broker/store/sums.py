"""Sums that grow by addition: rows are added to what stands under their key, or begin it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sqlalchemy import Select, Table, case
from sqlalchemy.ext.asyncio import AsyncConnection


def inserts(dialect: str) -> Any:
    """What makes an INSERT that knows what to do when a row is there already."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert  # what is not used takes no memory


async def add(
    connection: AsyncConnection, table: Table, sums: Mapping[tuple[Any, ...], Mapping[str, int]], *, latest: str = ""
) -> None:
    """`sums` are figures by primary key; each is added, but of `latest` the greater one stays.

    They are written in the order of their keys: two that add at once wait for each other, and never in a circle.
    """
    if sums:
        names = [column.name for column in table.primary_key]
        rows = [dict(zip(names, key, strict=True)) | dict(sums[key]) for key in sorted(sums)]
        await connection.execute(_adding(inserts(connection.dialect.name)(table), table, latest), rows)


def adding(dialect: str, table: Table, query: Select[Any], *, latest: str = "") -> Any:
    """The statement that adds what a query gives: a row for each key, in the order of the table's columns and of its keys."""
    insert = inserts(dialect)(table).from_select([column.name for column in table.c], query)
    return _adding(insert, table, latest)


def _adding(insert: Any, table: Table, latest: str) -> Any:
    keys = set(table.primary_key)
    values = {column.name: _sum(column, insert.excluded[column.name], latest) for column in set(table.c) - keys}
    return insert.on_conflict_do_update(index_elements=table.primary_key, set_=values)


def _sum(there: Any, new: Any, latest: str) -> Any:
    return case((new > there, new), else_=there) if there.name == latest else there + new
