"""Whether the database has been migrated by a newer version, under whose schema this code must not write."""

import asyncio
from collections.abc import Awaitable, Callable

from broker.core.errors import Unavailable
from broker.ops.log import logger
from broker.store.schema import HEAD

LOOK_SECONDS = 1.0


async def watch_schema(revision: Callable[[], Awaitable[str]], found_newer: Callable[[], None]) -> None:
    """Looks once a second, and returns once it found another revision."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            found = await revision()
        except Unavailable as error:
            logger("serve").warning("schema not readable", exc_info=error)
            continue
        if found != HEAD:
            logger("serve").error("the database has another schema", revision=found)
            found_newer()
            return
