"""The engines: what a connection to each store begins with, and what every transaction on it does."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

POOL_SECONDS = 10.0


def is_postgresql(url: str) -> bool:
    return url.startswith("postgresql+asyncpg:")


def pragmas(synchronous: str, busy_ms: int, *, autocheckpoint: bool = True) -> list[str]:
    if synchronous not in ("full", "normal"):
        raise ValueError(synchronous)
    return [
        "PRAGMA journal_mode=WAL",
        f"PRAGMA synchronous={synchronous}",
        "PRAGMA foreign_keys=ON",
        f"PRAGMA busy_timeout={int(busy_ms)}",
        "PRAGMA secure_delete=ON",
        "PRAGMA trusted_schema=OFF",
        *([] if autocheckpoint else ["PRAGMA wal_autocheckpoint=0"]),
    ]


def sqlite_engine(
    url: str, begin: str, pragmas: list[str], *, pool_size: int, patience_ms: Callable[[], int] | None = None
) -> AsyncEngine:
    """`patience_ms` is asked at the beginning of each transaction how long to wait for who keeps the file locked."""
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=POOL_SECONDS, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        # The driver must not open transactions by itself: a read before the write would make it a deferred one.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    if patience_ms is not None:
        _waits(engine, patience_ms)
    _begins_with(engine, begin)
    return engine


def postgresql_engine(
    url: str, *, pool_size: int, busy_ms: int, read_only: bool = False, statement_ms: int | None = None
) -> AsyncEngine:
    from broker.store import postgresql  # the driver is an extra

    engine = create_async_engine(
        # The address, with its password, is known to this closure and not to the engine, whose errors are printed.
        f"{postgresql.SCHEME}://",
        async_creator=lambda: postgresql.connect(url, read_only=read_only, busy_ms=busy_ms, statement_ms=statement_ms),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=busy_ms / 1000,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    if not read_only:
        _begins_with(engine, postgresql.WRITE_BEGINS)
    return engine


def _waits(engine: AsyncEngine, patience_ms: Callable[[], int]) -> None:
    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        wanted = patience_ms()
        if connection.info.get("patience_ms") != wanted:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={wanted}").close()
            connection.info["patience_ms"] = wanted


def _begins_with(engine: AsyncEngine, statement: str) -> None:
    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)
