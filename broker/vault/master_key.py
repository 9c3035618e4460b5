"""The master key file: made on first start, readable by its owner only, in no backup."""

import os
import stat
from base64 import b64decode, b64encode
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import CannotStart, Unavailable
from broker.core.handle import Entropy, system_entropy
from broker.core.secret import Secret
from broker.store import facts
from broker.vault.vault import KEY_BYTES, Place, Vault

_CHECK = "vault_check"
_PLACE = Place("setting", _CHECK, "operator")
_TEXT = Secret("this installation")


def read_master_key(path: Path) -> bytes:
    """Raises CannotStart with one clear line."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(4096)
    except OSError as error:
        raise CannotStart(f"The master key file {path} cannot be read ({error.strerror}).") from error
    if mode & 0o077:
        raise CannotStart(f"The master key file {path} can be read by others (mode {mode:04o}). Run: chmod 600 {path}")
    try:
        key = b64decode(raw.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise CannotStart(f"The master key file {path} does not hold a master key (32 bytes in base64).")
    return key


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
    check = await facts.load(tx, _CHECK)
    if check is None and not path.exists():
        vault = Vault(make_master_key(path, entropy), entropy)
    else:
        vault = Vault(read_master_key(path), entropy)
    if check is None:
        await facts.save(tx, _CHECK, vault.seal(_TEXT, _PLACE))
        return vault
    try:
        vault.open(check, _PLACE)
    except Unavailable as error:
        raise CannotStart(f"The master key in {path} is not the one this database was sealed with.") from error
    return vault


async def check_value_opens(tx: AsyncSession, vault: Vault) -> None:
    """Raises Unavailable when this vault and this database no longer belong together."""
    vault.open(await facts.load(tx, _CHECK) or "", _PLACE)
