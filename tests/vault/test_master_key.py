"""The master key file: made once, while nothing is sealed; a wrong, missing or readable one refuses to start."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.core.errors import CannotStart, Unavailable
from broker.core.secret import Secret
from broker.store.database import Database
from broker.vault.master_key import check_value_opens, make_master_key, open_vault, read_master_key
from broker.vault.vault import Place, Vault
from tests.stores import Store

PLACE = Place("t", "r", "o")


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    opened = store.open()
    yield opened
    await opened.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "master.key"


async def opened(db: Database, path: Path) -> Vault:
    return await db.write(lambda tx: open_vault(tx, path))


async def refused(db: Database, path: Path) -> str:
    with pytest.raises(CannotStart) as caught:
        await opened(db, path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


async def test_the_first_start_makes_a_file_that_its_owner_alone_can_read(db: Database, key_file: Path) -> None:
    vault = await opened(db, key_file)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o777 == 0o700
    assert len(read_master_key(key_file)) == 32
    sealed = vault.seal(Secret("s"), PLACE)
    assert (await opened(db, key_file)).open(sealed, PLACE) == Secret("s")


async def test_a_key_that_the_operator_put_there_is_used(db: Database, key_file: Path) -> None:
    make_master_key(key_file, lambda length: b"k" * length)
    sealed = (await opened(db, key_file)).seal(Secret("s"), PLACE)
    assert Vault(b"k" * 32).open(sealed, PLACE) == Secret("s")


async def test_once_something_is_sealed_a_missing_file_is_never_made_anew(db: Database, key_file: Path) -> None:
    await opened(db, key_file)
    key_file.unlink()
    assert "cannot be read" in await refused(db, key_file)
    assert not key_file.exists()


async def test_another_key_is_refused(db: Database, key_file: Path) -> None:
    await opened(db, key_file)
    key_file.unlink()
    make_master_key(key_file)
    assert "not the one" in await refused(db, key_file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
async def test_a_file_that_others_can_touch_is_refused(db: Database, key_file: Path, mode: int) -> None:
    make_master_key(key_file)
    key_file.chmod(mode)
    assert "chmod 600" in await refused(db, key_file)


@pytest.mark.parametrize("text", [b"", b"hello", b64encode(b"k" * 31), b64encode(b"k" * 33), b"k" * 32, b"\xff" * 44])
async def test_a_file_that_holds_no_key_is_refused(db: Database, key_file: Path, text: bytes) -> None:
    make_master_key(key_file)
    key_file.write_bytes(text)
    line = await refused(db, key_file)
    assert "does not hold a master key" in line
    assert "hello" not in line


async def test_a_folder_in_its_place_is_refused(db: Database, key_file: Path) -> None:
    key_file.mkdir(parents=True)
    assert "cannot be read" in await refused(db, key_file)


def test_a_key_is_never_written_over_another(key_file: Path) -> None:
    key = make_master_key(key_file)
    with pytest.raises(CannotStart):
        make_master_key(key_file)
    assert read_master_key(key_file) == key


async def test_a_refused_start_leaves_nothing_sealed(db: Database, key_file: Path) -> None:
    make_master_key(key_file)
    key_file.chmod(0o644)
    await refused(db, key_file)
    key_file.unlink()
    await opened(db, key_file)


async def test_health_sees_when_vault_and_database_no_longer_belong_together(db: Database, key_file: Path) -> None:
    vault = await opened(db, key_file)
    await db.read(lambda tx: check_value_opens(tx, vault))
    with pytest.raises(Unavailable):
        await db.read(lambda tx: check_value_opens(tx, Vault(b"x" * 32)))
