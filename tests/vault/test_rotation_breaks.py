"""A rotation that is broken off anywhere, or runs beside others that seal, loses nothing; on both stores."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.database import Database
from broker.vault import rotation
from broker.vault.ring import Ring, read_ring, write_ring
from broker.vault.rotation import drop_old, rotate
from broker.vault.vault import Vault
from tests.stores import Store
from tests.vault.furnished import NOW, Broken, Fused, furnish, key_now, opened, replace_key, values


@pytest.mark.parametrize("step", ["rotate", "drop"])
async def test_broken_off_anywhere_it_leaves_all_readable_and_is_finished_by_the_next(
    step: str, db: Fused, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await opened(db, path)
    await furnish(db, running)
    before = await values(db, running)

    def write(where: Path, ring: Ring) -> None:
        db.fuse.burn()
        write_ring(where, ring)
        db.fuse.burn()

    monkeypatch.setattr(rotation, "write_ring", write)
    monkeypatch.setattr(rotation, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(rotation, "BATCH", 1)

    async def act() -> None:
        vault = await opened(db, path)
        if step == "rotate":
            await rotate(db, vault, path, NOW, keep_old=False)
        else:
            await drop_old(db, vault, path, NOW)

    for steps in count():
        if step == "drop":
            await rotate(db, await opened(db, path), path, NOW, keep_old=True)
        broke = await _breaks(db, steps, act)
        assert await values(db, await opened(db, path)) == before, steps
        assert await values(db, running) == before, steps
        if not broke:
            break
        if step == "rotate":
            await act()
            assert await values(db, await opened(db, path)) == before
            assert len(read_ring(path).keys) == 1
    assert steps >= {"rotate": 20, "drop": 6}[step]


async def _breaks(db: Fused, steps: int, act: Callable[[], Awaitable[None]]) -> bool:
    db.fuse.left = steps
    try:
        await act()
    except Broken:
        return True
    finally:
        db.fuse.left = None
    return False


async def test_keys_that_are_replaced_all_the_while_are_all_kept(db: Fused, store: Store, path: Path) -> None:
    vault = await opened(db, path)
    await furnish(db, vault)
    other = store.open()
    serving, written, stop = await opened(other, path), 0, asyncio.Event()

    async def replacing() -> int:
        times = 0
        while not stop.is_set():
            times += 1
            await other.write(lambda tx, n=times: replace_key(tx, serving, f"sk-{n}"))  # type: ignore[misc]
            assert await other.read(lambda tx: key_now(tx, serving)) == f"sk-{times}"
        return times

    task = asyncio.create_task(replacing())
    for _ in range(5):
        await rotate(db, vault, path, NOW, keep_old=False)
    stop.set()
    written = await task
    await other.close()
    fresh = await opened(db, path)
    assert await db.read(lambda tx: key_now(tx, fresh)) == f"sk-{written}"
    assert await db.read(lambda tx: key_now(tx, Vault(read_ring(path).keys[0]))) == f"sk-{written}"


async def test_a_transaction_that_sealed_with_the_old_key_is_waited_for(db: Fused, store: Store, path: Path) -> None:
    vault = await opened(db, path)
    await furnish(db, vault)
    other, go_on, has_sealed = store.open(), asyncio.Event(), asyncio.Event()
    old = vault.mark()

    async def slowly(tx: AsyncSession) -> None:
        await replace_key(tx, vault, "sk-late")
        has_sealed.set()
        await go_on.wait()

    late = asyncio.create_task(other.write(slowly))
    await has_sealed.wait()
    # On SQLite it is the lock that is waited for, on PostgreSQL the end of that transaction.
    rotating = asyncio.create_task(_rotate_from_the_second_step(db, vault, path))
    await asyncio.sleep(1)
    assert not rotating.done()
    go_on.set()
    await late
    await rotating
    await other.close()
    fresh = await opened(db, path)
    assert vault.mark() != old
    assert await db.read(lambda tx: key_now(tx, fresh)) == "sk-late"


async def _rotate_from_the_second_step(db: Database, vault: Vault, path: Path) -> None:
    """As one that was broken off once the new key was in the file: what comes before has to write, too."""
    ring = read_ring(path)
    write_ring(path, ring.led_by(b"n" * 32))
    await rotate(db, vault, path, NOW, keep_old=False)
