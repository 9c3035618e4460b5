"""broker client: the apps that may ask."""

from pathlib import Path
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, group, say, say_json, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.secret import Secret
from broker.oauth.clients import BadClient, Safeguards, register_client, registered_uris
from broker.store import clients
from broker.store.tables import Client

client = group()


@client.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As people will read it.")],
    public: Annotated[
        bool, typer.Option("--public", help="It cannot keep a secret: a program on people's computers.")
    ] = False,
    redirect_uri: Annotated[list[str], typer.Option(metavar="URI", help="Exact; repeatable.")] = [],  # noqa: B006 - typer's way
    origin: Annotated[
        list[str], typer.Option(metavar="ORIGIN", help="A web page that may call from a browser; repeatable.")
    ] = [],  # noqa: B006
    address: Annotated[str, typer.Option(metavar="URL", help="Its web address, shown to people.")] = "",
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Warn people that nobody has checked this app.")
    ] = False,
    jwks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Its public keys (a JWK set): it signs, and has no secret.", show_default=False
        ),
    ] = None,
    jwks_uri: Annotated[str, typer.Option(metavar="URL", help="Where it publishes them instead.")] = "",
    require_pushed: Annotated[bool, typer.Option("--require-pushed", help="Take only pushed requests of it.")] = False,
    dpop: Annotated[bool, typer.Option("--dpop", help="Bind each of its tokens to a key of its own.")] = False,
    fapi2: Annotated[bool, typer.Option("--fapi2", help="Hold it to the FAPI 2.0 Security Profile.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register an app. The secret of a confidential one that does not sign is printed once."""
    safeguards = Safeguards(_read_keys(jwks), jwks_uri, require_pushed, dpop, fapi2)

    async def work(desk: Desk) -> tuple[Client, Secret | None]:
        async def write(tx: AsyncSession) -> tuple[Client, Secret | None]:
            return await register_client(
                tx,
                desk.now(),
                name,
                public=public,
                redirect_uris=tuple(redirect_uri),
                origins=tuple(origin),
                address=address,
                verified=not unverified,
                safeguards=safeguards,
            )

        return await desk.db.write(write)

    try:
        added, secret = at_desk(work)
    except BadClient as error:
        wrong(error.description)
    told = {"client_id": added.id} | ({} if secret is None else {"client_secret": secret.reveal()})
    if as_json:
        say_json(told)
        return
    for label, value in told.items():
        say(f"{label}  {value}")


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


def _read_keys(file: Path | None) -> str:
    try:
        return "" if file is None else file.read_text("utf-8").strip() or "{}"
    except (OSError, UnicodeDecodeError):
        wrong(f"The file {str(file)!r} cannot be read.")
