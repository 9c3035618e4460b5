"""Columns as both stores take them: text, 0/1 integers and 64-bit integers, NOT NULL unless said (STRICT on SQLite)."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Text
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

INT64 = BigInteger().with_variant(Integer(), "sqlite")
"""One type for counts, micro-dollars and instants (microseconds since 1970 UTC)."""

STRICT = {"sqlite_strict": True}

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


SQLModel.metadata.naming_convention = NAMING
"""Every constraint has a name, so that a migration can speak of it; set before the first table is read."""


def text(**more: Any) -> Any:
    return Field(sa_type=Text, **more)


def number(**more: Any) -> Any:
    return Field(sa_type=INT64, **more)


def partial(name: str, *columns: str, where: str) -> Index:
    """An index of some rows. Its migration says the same to PostgreSQL, whose dialect takes megabytes of a server that uses none."""
    return Index(name, *columns, sqlite_where=sql(where))


def check(rule: str, name: str) -> CheckConstraint:
    return CheckConstraint(rule, name=name)


def one_of(column: str, values: tuple[str, ...] | list[str]) -> CheckConstraint:
    """Said one by one: for a list SQLite fills a table at each row that is written, which took 8 of a call's microseconds."""
    return check(" OR ".join(f"{column} = '{value}'" for value in values), f"{column}_known")


def flag(column: str) -> CheckConstraint:
    return check(f"{column} IN (0, 1)", f"{column}_flag")
