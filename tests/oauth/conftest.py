"""The authorization server on a copy of the migrated database."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from broker.identity.throttle import Throttle
from broker.oauth.proof_reader import ProofReader
from broker.oauth.server import AuthorizationServer
from broker.settings import Settings
from tests.oauth.asgi import as_app
from tests.oauth.furniture import Furniture
from tests.oauth.published import PublishedWeb
from tests.oauth.world import CATALOGUE, ISSUER, USER_CODES, TurnedClock, World
from tests.plain_settings import settings_in
from tests.plain_vault import vault_of_tests
from tests.stores import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def web() -> PublishedWeb:
    """What is published where, for a server that fetches nothing else."""
    return PublishedWeb()


@pytest.fixture(scope="session")
def furniture(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Furniture:
    folder = tmp_path_factory.mktemp("furniture")
    shutil.copy(migrated, folder / "broker.db")
    return Furniture.made_in(folder, settings_in(folder))


@pytest.fixture
async def world(store: Store, settings: Settings, web: PublishedWeb, furniture: Furniture) -> AsyncIterator[World]:
    async with opened(store, settings, web, furniture) as made:
        yield made


@asynccontextmanager
async def opened(store: Store, settings: Settings, web: PublishedWeb, furniture: Furniture) -> AsyncIterator[World]:
    store.fill(furniture.rows)
    db, clock, vault, signer = store.open(), TurnedClock(), vault_of_tests(), furniture.signer(settings)
    made: list[World] = []

    async def is_signed_in(_request: Request) -> bool:
        return made[0].signed_in

    server = AuthorizationServer.build(
        db,
        clock,
        settings,
        signer,
        catalogue=CATALOGUE,
        user_codes=USER_CODES,
        is_signed_in=is_signed_in,
        registrations=Throttle(b"k", settings.client_registrations_address, settings.client_registrations_address),
        fetch=web,
        proofs=ProofReader.build(settings, clock, vault.derive("nonces")),
    )
    transport = httpx.ASGITransport(app=as_app(server))
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        made.append(World(db, clock, settings, vault, signer, server, http, furniture.user_id, furniture.credential_id))
        yield made[0]
    await db.close()


@pytest.fixture
def signer(world: World) -> object:
    return world.signer
