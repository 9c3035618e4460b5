"""A statement is compiled once a run, and not once for each database that a test opens: that was a third of their time.

An engine keeps what it compiled for itself; here all engines for one kind of store share it.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

MOST = 5_000

_COMPILED: LRUCache[Any, Any] = LRUCache(MOST)


def _is_same(dialect: DefaultDialect, other: object) -> bool:
    return type(dialect) is type(other)


def _hash(dialect: DefaultDialect) -> int:
    return hash(type(dialect))


def share() -> None:
    """From now on; the dialect is part of the key, so those of one kind have to be equal."""
    setattr(DefaultDialect, "__eq__", _is_same)  # noqa: B010 - the type checker takes no other methods
    setattr(DefaultDialect, "__hash__", _hash)  # noqa: B010
    event.listen(Engine, "engine_connect", _shares)


def _shares(connection: Connection) -> None:
    connection.engine._compiled_cache = _COMPILED
