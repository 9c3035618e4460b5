"""Whether a database did not answer since another process keeps it locked: one that writes for long, or that hangs."""

import sqlite3

LOCKED = (
    "Another process has kept the database locked for several seconds, so this was not finished. "
    "Try again; if it stays so, that process hangs and has to be ended."
)
_LOCK_NOT_AVAILABLE = "55P03"


def is_locked(error: BaseException) -> bool:
    """Looks at what it was raised from, too: errors of the drivers are wrapped on their way."""
    cause: BaseException | None = error
    while cause is not None:
        told = getattr(cause, "orig", cause)
        if getattr(told, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return True
        if getattr(told, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            return True
        cause = cause.__cause__
    return False
