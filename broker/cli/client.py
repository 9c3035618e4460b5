"""broker client: the apps that may ask."""

from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli import client_add
from broker.cli.command import AsJson, group, say, say_rows, wrong
from broker.cli.desk import Desk, at_desk
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
            " ".join(registered_uris(row)),
        )
        for row in rows
    ]
    say_rows(("client_id", "name", "kind", "checked", "redirect_uris"), told, as_json=as_json)


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
