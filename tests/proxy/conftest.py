"""A world for each test; its provider is well-behaved until the test says otherwise."""

import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.ledger.books import OwnBooks
from broker.oauth.proof_reader import ProofReader
from broker.oauth.resource_proofs import ResourceProofs
from broker.prices.book import PriceBook
from broker.providers.client import ProviderClient, Waits
from broker.providers.pooled import PooledClient
from broker.providers.registry import Registry
from broker.proxy.lifecycle import ProxyService
from broker.settings import Settings
from broker.store.database import sqlite_url
from tests.canary import KEYS
from tests.fake_provider import answer_chat, fake_provider
from tests.plain_settings import settings_in
from tests.plain_vault import vault_of_tests
from tests.proxy.people import People, Peopled
from tests.proxy.pool import Answers, Open, Pool
from tests.proxy.world import World, running, verify_by_name
from tests.stores import Store
from tests.turned_clock import TurnedClock


@pytest.fixture
def waits() -> Waits:
    """Nothing ends by silence, however busy the machine is, but for `World.loses_patience`."""
    return Waits(connect=10, first_byte=60, silence=60)


@pytest.fixture
def connections() -> int:
    """The most to one provider."""
    return 2048


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)  # away from a developer's own .env
    return settings_in(tmp_path)


@pytest.fixture
async def client(waits: Waits, connections: int) -> ProviderClient:
    return PooledClient(waits, connections=connections)


@pytest.fixture(scope="session")
def peopled(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Peopled:
    folder = tmp_path_factory.mktemp("peopled")
    shutil.copy(migrated, folder / "broker.db")
    return Peopled.of(Store(sqlite_url(folder)), folder)


@pytest.fixture
def people(page_store: Store, peopled: Peopled, tmp_path: Path) -> People | None:
    """Those that are there already."""
    if page_store.is_postgresql:
        return None
    peopled.files.copy_to(tmp_path)
    return replace(peopled.people, credentials=dict(peopled.people.credentials))


@pytest.fixture
async def world(
    page_store: Store, people: People | None, settings: Settings, client: ProviderClient
) -> AsyncIterator[World]:
    db, clock, vault = page_store.open(), TurnedClock(), vault_of_tests()
    books = OwnBooks(db, clock)
    settled = people or await People.settle(db)
    async with fake_provider(answer_chat) as provider:
        registry = Registry({f"BROKER_PROVIDER_{name.upper()}_BASE_URL": provider.url for name in KEYS})
        prover = ResourceProofs(db, clock, ProofReader.build(settings, clock, vault.derive("nonces")))
        service = ProxyService(
            db, books, clock, time.monotonic, settings, vault, client, registry, PriceBook(), verify_by_name, prover
        )
        async with running(service):
            yield World(db, books, clock, vault, service, provider, client, settled)
        await client.close()
    await db.close()


@pytest.fixture
def pool(world: World) -> Open:
    async def opened(answers: Answers | None = None, strategy: str = "priority") -> Pool:
        return await Pool(world, answers or {}).open(strategy)

    return opened
