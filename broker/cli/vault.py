"""broker vault: the master key, under which everything is sealed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from broker.cli.command import AsJson, group, require_database, say, say_json, settings, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.counted import counted
from broker.core.errors import CannotStart
from broker.ops.folder import FolderInUse, Lock
from broker.vault import rotation
from broker.vault.rotation import Rotated

vault = group()


@vault.callback()
def _vault() -> None:
    """A group of one command is one nevertheless."""


@vault.command("rotate")
def rotate(
    add: Annotated[
        bool, typer.Option("--add", help="Only put a new key into the file, to be brought to the other brokers first.")
    ] = False,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Leave the old key in the file, where it only opens.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="End a rotation that kept the old key: take it out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Seal everything with another master key, also while a server runs. A rotation that was broken off is finished."""
    if add + keep_old + drop > 1:
        wrong("--add, --keep-old and --drop are steps of their own.")
    require_database(settings())

    async def work(desk: Desk) -> Rotated:
        with _alone(desk):
            opened, path, now = await desk.vault(), desk.settings.key_file, desk.now()
            if add:
                return Rotated(await rotation.add_key(desk.db, path, now), {}, (), 0)
            if drop:
                return await rotation.drop_old(desk.db, opened, path, now)
            # There, other brokers may seal with the old key until they have the new file, too.
            keeps = keep_old or desk.db.is_postgres
            return await rotation.rotate(desk.db, opened, path, now, keep_old=keeps)

    done = at_desk(work)
    if as_json:
        told = {"key": done.key, "resealed": done.resealed, "unreadable": done.unreadable, "old_keys": done.kept}
        say_json(told)
    elif add:
        say(f"Key {done.key} is in the file, and seals nothing yet.")
        say("Copy the file to every broker, then run broker vault rotate --keep-old.")
    else:
        _tell(done)


def _tell(done: Rotated) -> None:
    resealed = counted(sum(done.resealed.values()), "value was", "values were")
    say(f"Key {done.key} seals everything now; {resealed} resealed.")
    for each in done.unreadable:
        say(f"No key in the file opens {each}; it is as it was.")
    if done.kept:
        say("The old key is still in the file. Copy it to every broker, then run broker vault rotate --drop.")
    else:
        say(
            "The old key is no longer in the file, and opens nothing here. A backup made before needs it: keep both apart."
        )


@contextmanager
def _alone(desk: Desk) -> Iterator[None]:
    """Two rotations at once would each write the file without the other's key."""
    try:
        lock = Lock.take(desk.settings.data_dir / "rotation.lock")
    except FolderInUse:
        raise CannotStart("Another broker vault rotate is running.") from None
    try:
        yield
    finally:
        lock.release()
