"""broker client: the apps that may ask."""

import json
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli import client_add
from broker.cli.command import AsJson, group, say, say_json, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.clock import to_seconds
from broker.oauth.client_metadata import wire_of
from broker.oauth.clients import registered_uris
from broker.store import clients

client = group()
client.command("add")(client_add.add)


@client.command("list")
def listed(as_json: AsJson = False) -> None:
    """List the registered apps."""
    rows = at_desk(lambda desk: desk.db.read(clients.all_live))
    told = [
        (
            row.id,
            row.name,
            "public" if row.public else "confidential",
            "verified" if row.verified else "unverified",
            row.source,
            " ".join(registered_uris(row)),
        )
        for row in rows
    ]
    say_rows(("client_id", "name", "kind", "checked", "source", "redirect_uris"), told, as_json=as_json)


@client.command("show")
def show(client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID")]) -> None:
    """Print all that is known of an app, as JSON; the instants are seconds since 1970."""
    row = at_desk(lambda desk: desk.db.read(lambda tx: clients.load(tx, client_id)))
    if row is None:
        wrong(f"There is no client {client_id!r}.")
    say_json(
        {
            "client_id": row.id,
            "source": row.source,
            "verified": bool(row.verified),
            "fapi2": bool(row.fapi2),
            "address": row.address,
            "origins": json.loads(row.origins),
            "created_at": to_seconds(row.created_at),
            "used_at": None if row.used_at is None else to_seconds(row.used_at),
            **wire_of(row),
        }
    )


@client.command("remove")
def remove(client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID")]) -> None:
    """Remove an app; its tokens are dead from the next call on."""

    async def work(desk: Desk) -> bool:
        async def write(tx: AsyncSession) -> bool:
            removed = await clients.remove(tx, client_id, desk.now())
            if removed:
                await record(tx, desk.now(), "client.removed", OPERATOR, client_id)
            return removed

        return await desk.db.write(write)

    if not at_desk(work):
        wrong(f"There is no client {client_id!r}.")
    say(f"Removed {client_id}.")
