"""The composition root: builds each object once, and holds THE table of routes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route

from broker.core.clock import Clock
from broker.ops.health import Health
from broker.settings import Settings
from broker.start import open_database
from broker.store import changes
from broker.vault.master_key import open_vault


async def create_app(settings: Settings, *, clock: Clock, environ: Mapping[str, str]) -> Starlette:
    """The whole program on a database that is migrated already; its lifespan starts and ends what runs in it."""
    db = open_database(settings)
    await db.write(lambda tx: open_vault(tx, settings.key_file))

    async def database_answers() -> None:
        await db.read(changes.count)

    health = Health({"database": database_answers, "vault": database_answers})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await db.close()

    routes = [
        Route("/health/live", health.live),
        Route("/health/ready", health.ready),
    ]
    return Starlette(routes=routes, lifespan=lifespan)
