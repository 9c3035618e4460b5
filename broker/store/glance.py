"""One value read from SQLite here and now: in its log no writer keeps a reader waiting, and a thread costs more than the reading."""

import sqlite3
from typing import Any

from sqlalchemy.engine import make_url

from broker.core.errors import Unavailable


class Glance:
    """For what is looked at again and again while nobody asked for it."""

    def __init__(self, url: str) -> None:
        self._path = make_url(url).database or ""
        self._connection: sqlite3.Connection | None = None

    def __call__(self, question: str) -> Any:
        """The first value of the first row; raises Unavailable."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
                self._connection.execute("PRAGMA query_only=ON")
            (value, *_) = self._connection.execute(question).fetchone()
        except (sqlite3.Error, TypeError) as error:
            raise Unavailable(detail=f"{type(error).__name__}: {error}") from error
        return value

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
