"""The master key file: made on first start, readable by its owner only, in no backup."""

import os
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import CannotStart, Unavailable
from broker.core.handle import Entropy, system_entropy
from broker.core.secret import Secret
from broker.store import facts
from broker.vault.places import CHECK, ROOT, setting_place
from broker.vault.ring import KeyFile, read_ring
from broker.vault.vault import KEY_BYTES, Vault

_TEXT = Secret("this installation")


def read_master_key(path: Path) -> bytes:
    """The one that seals; raises CannotStart with one clear line."""
    return read_ring(path).keys[0]


def make_master_key(path: Path, entropy: Entropy = system_entropy) -> bytes:
    """Writes a new key, never over a file that exists; raises CannotStart with one clear line."""
    key = entropy(KEY_BYTES)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _keep_name(path.parent)
    except OSError as error:
        raise CannotStart(f"The master key file {path} cannot be made ({error.strerror}).") from error
    return key


def _keep_name(folder: Path) -> None:
    """The file's name, too, must outlive a loss of power: what is sealed from now on opens with nothing else."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def open_vault(tx: AsyncSession, path: Path, entropy: Entropy = system_entropy) -> Vault:
    """The vault of this installation, inside a writing transaction.

    The key file is made only while nothing has been sealed; from then on a missing or other key refuses to start.
    """
    check = await facts.load(tx, CHECK)
    if check is None and not path.exists():
        make_master_key(path, entropy)
    keys = KeyFile(path)
    vault = Vault(keys, entropy)
    if check is None:
        await facts.save(tx, CHECK, vault.seal(_TEXT, setting_place(CHECK)))
        root: bytes | None = entropy(KEY_BYTES)
    else:
        root = _opener(path, check)
    if root is None:
        raise CannotStart(f"The master key in {path} is not the one this database was sealed with.")
    return Vault(keys, entropy, root=await _lasting(tx, vault, root))


async def _lasting(tx: AsyncSession, vault: Vault, root: bytes) -> bytes:
    """The root that is kept here, which may be older than every master key, or this one from now on."""
    kept = await facts.load(tx, ROOT)
    if kept is not None:
        return b64decode(vault.open(kept, setting_place(ROOT)).reveal())
    await facts.save(tx, ROOT, vault.seal(Secret(b64encode(root).decode()), setting_place(ROOT)))
    return root


def _opener(path: Path, check: str) -> bytes | None:
    """The key of the file that this database was sealed with.

    Where no root has been kept yet it is the root, too: apps know people by names that were derived from it.
    """
    for key in read_ring(path).every():
        with suppress(Unavailable):
            Vault(key).open(check, setting_place(CHECK))
            return key
    return None


async def check_value_opens(tx: AsyncSession, vault: Vault) -> None:
    """Raises Unavailable when this vault and this database no longer belong together."""
    vault.open(await facts.load(tx, CHECK) or "", setting_place(CHECK))
