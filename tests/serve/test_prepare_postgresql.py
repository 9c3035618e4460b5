"""What a start makes ready on PostgreSQL, where other brokers may be alive: once for all of them, and nothing of theirs ended."""

import asyncio
from pathlib import Path

import pytest

from broker import cli
from broker.core.errors import CannotStart
from broker.core.secret import Secret
from broker.ledger.lease import Lease
from broker.serve.prepare import prepare
from broker.settings import Settings
from broker.start import OLDER, UNREACHABLE, bring_up_to_date, lock_folder, system_clock
from broker.store import postgresql, schema
from tests.stores import Store, beside

ENVIRON = {"OPENAI_API_KEY": "sk-of-the-operator"}


@pytest.fixture
def settings(fresh_postgresql: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir(mode=0o700)
    return Settings(database_url=Secret(fresh_postgresql.url), data_dir=tmp_path / "one")


def on_another_machine(settings: Settings, key: Path | None = None) -> Settings:
    folder = settings.data_dir.with_name("two")
    folder.mkdir(mode=0o700)
    return settings.model_copy(update={"data_dir": folder, "master_key_file": key})


async def number(settings: Settings, query: str) -> int:
    connection = await postgresql.connect(settings.database_url.reveal())
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def test_brokers_that_start_at_once_share_one_signing_key_and_one_key_of_the_operator(settings: Settings) -> None:
    await prepare(settings, system_clock, ENVIRON)
    other = on_another_machine(settings, settings.key_file)
    await asyncio.gather(*(prepare(each, system_clock, ENVIRON) for each in (settings, other)))
    assert await number(settings, "SELECT count(*) FROM signing_key WHERE purpose = 'token'") == 1
    assert await number(settings, "SELECT count(*) FROM signing_key WHERE purpose = 'receipt'") == 1
    assert await number(settings, "SELECT count(*) FROM credential") == 1


async def test_a_broker_with_another_master_key_or_none_does_not_start(settings: Settings, tmp_path: Path) -> None:
    await prepare(settings, system_clock, {})
    other = on_another_machine(settings)
    with pytest.raises(CannotStart, match="cannot be read"):
        await prepare(other, system_clock, {})
    elsewhere = settings.model_copy(update={"master_key_file": tmp_path / "other.key"})
    (tmp_path / "other.key").write_text("b" * 43 + "=\n")
    (tmp_path / "other.key").chmod(0o600)
    with pytest.raises(CannotStart, match="not the one this database was sealed with"):
        await prepare(elsewhere, system_clock, {})


async def test_a_start_ends_no_lease_of_another_broker(settings: Settings, fresh_postgresql: Store) -> None:
    db = fresh_postgresql.open()
    lease = Lease(db, system_clock, lambda: 0.0, 60)
    await lease.take()
    await prepare(settings, system_clock, {})
    assert await lease.renew()
    await db.close()


async def test_a_command_does_not_migrate_beside_a_broker_that_is_alive(
    settings: Settings, fresh_postgresql: Store
) -> None:
    fresh_postgresql.is_spoiled = True
    db = fresh_postgresql.open()
    await Lease(db, system_clock, lambda: 0.0, 60).take()
    async with beside(db) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(CannotStart) as refused:
        bring_up_to_date(settings, beside_others=False)
    assert refused.value.description == OLDER
    assert await schema.revision_at(fresh_postgresql.url) == await db.read(schema.revision) == "0001"
    await db.close()


def test_migrate_beside_a_broker_of_the_same_folder_has_nothing_to_do(
    settings: Settings, fresh_postgresql: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BROKER_DATABASE_URL", fresh_postgresql.url)
    monkeypatch.setenv("BROKER_DATA_DIR", str(settings.data_dir))
    lock = lock_folder(settings)
    assert cli.run(["migrate"]) == 0
    lock.release()
    assert capsys.readouterr().out == "The database is up to date.\n"


def test_a_server_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROKER_DATABASE_URL", f"postgresql+asyncpg://me:hidden@/broker?host={tmp_path}")
    assert cli.run(["serve"]) == 1
    assert capsys.readouterr().err == f"{UNREACHABLE}\n"
