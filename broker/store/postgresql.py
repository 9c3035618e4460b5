"""Connections to PostgreSQL: how they are opened, how long they wait, and what their errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from broker.core.errors import Unavailable
from broker.store.steps import Clashed

SCHEME = "postgresql+asyncpg"

BUSY_MS = 5_000
"""A wait for a lock, the advisory one of writing included."""
CONNECT_SECONDS = 5.0
IDLE_MS = 10_000
"""A process that stopped in the middle of a transaction keeps all others waiting for no longer."""
WRITE_MS = 15_000
READ_MS = 120_000
"""Statements of `ledger verify` read every row there is."""

SERIAL = 0x42726F6B
"""The key of the advisory lock that makes writing transactions serial, over all brokers of one database."""
WRITE_BEGINS = f"SELECT pg_advisory_xact_lock({SERIAL})"

_CLASHES = {"40001", "40P01"}

LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
"""A connection that ended before it answered, or whose server ends."""


Broken = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
"""A constraint that was broken, or a value that no column can hold; every other error arrives as Unavailable."""
Connection: TypeAlias = asyncpg.Connection


async def connect(
    url: str, *, read_only: bool = False, busy_ms: int = BUSY_MS, statement_ms: int | None = None
) -> Connection:
    """Raises Unavailable; what it says never holds the address, which holds a password. 0 statement_ms: no end."""
    longest = statement_ms if statement_ms is not None else READ_MS if read_only else WRITE_MS
    settings = {
        "application_name": "broker",
        "timezone": "UTC",
        "jit": "off",
        "lock_timeout": str(busy_ms),
        "statement_timeout": str(longest),
        "idle_in_transaction_session_timeout": str(IDLE_MS),
        "default_transaction_read_only": "on" if read_only else "off",
        # A page reads one moment of the books, as it does on SQLite; a writer must see what was written before its turn.
        "default_transaction_isolation": "repeatable read" if read_only else "read committed",
    }
    # The server ends what takes too long; this ends what no server answers any more.
    patience = longest / 1000 + CONNECT_SECONDS if longest else None
    try:
        return await asyncpg.connect(
            dsn(url), timeout=CONNECT_SECONDS, command_timeout=patience, server_settings=settings
        )
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise unavailable(error) from None


def dsn(url: str) -> str:
    """As the driver takes it: libpq's words, and `ssl` as a second name of `sslmode`."""
    parts = urlsplit(url)
    query = [("sslmode" if name == "ssl" else name, value) for name, value in parse_qsl(parts.query)]
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(query), ""))


@contextmanager
def translated() -> Iterator[None]:
    """What the driver raises, as the rest of the program knows it."""
    try:
        yield
    except Broken:
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError, TimeoutError) as error:
        raise unavailable(error) from error


def is_clash(error: BaseException) -> bool:
    return getattr(error, "sqlstate", None) in _CLASHES


def unavailable(error: BaseException) -> Unavailable:
    """What the caller is told of an error of the driver."""
    told = Clashed if is_clash(error) else Unavailable
    return told(detail=f"{type(error).__name__}: {error}")
