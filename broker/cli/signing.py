"""broker signing: the keys that sign access tokens and consent receipts."""

from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.cli.command import AsJson, group, say, say_json, say_rows
from broker.cli.desk import Desk, at_desk
from broker.core.clock import to_seconds, utc
from broker.oauth import signing_keys
from broker.store.signing_keys import every
from broker.store.tables import SigningKey

signing = group()

_TITLES = ("kid", "purpose", "algorithm", "state", "signs_at", "retires_at")


@signing.command("rotate")
def rotate(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The key has leaked: every access token that lives now is refused.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the next key of access tokens. It is published now, and signs once every cache of the key set has ended."""

    async def work(desk: Desk) -> tuple[SigningKey, int]:
        vault, now = await desk.vault(), desk.now()

        async def write(tx: AsyncSession) -> tuple[SigningKey, int]:
            added = await signing_keys.rotate(tx, vault, now, desk.settings, at_once=at_once)
            return added, max(row.retired_at or 0 for row in [*await every(tx), added])

        rotated = await desk.db.write(write)
        await desk.heeded()
        return rotated

    added, retires_at = at_desk(work)
    if as_json:
        say_json({"kid": added.kid, "algorithm": added.algorithm, "signs_at": to_seconds(added.signs_at)})
        return
    say(f"{added.kid} ({added.algorithm}) signs from {utc(added.signs_at)}.")
    if at_once:
        say("No token that was signed before is believed any more.")
    elif retires_at:
        say(f"What was signed before is believed until {utc(retires_at)} at the latest.")


@signing.command("list")
def listed(as_json: AsJson = False) -> None:
    """List the keys with what each is doing."""

    async def work(desk: Desk) -> tuple[list[SigningKey], int]:
        return await desk.db.read(every), desk.now()

    rows, now = at_desk(work)
    told = [
        (
            row.kid,
            row.purpose,
            row.algorithm,
            _state(row, rows, now),
            utc(row.signs_at),
            "" if row.retired_at is None else utc(row.retired_at),
        )
        for row in rows
    ]
    say_rows(_TITLES, told, as_json=as_json)


def _state(row: SigningKey, rows: list[SigningKey], now: int) -> str:
    if row.retired_at is not None and row.retired_at <= now:
        return "retired"
    if row.signs_at > now:
        return "next"
    begun = [other for other in rows if other.purpose == row.purpose and other.signs_at <= now]
    newest = max(begun, key=lambda other: (other.signs_at, other.created_at))
    return "signs" if newest is row else "verifies"
