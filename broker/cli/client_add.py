"""broker client add: an app, and how it shows that it is the one."""

from pathlib import Path
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.cli.command import AsJson, say, say_json, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.secret import Secret
from broker.oauth.clients import BadClient, Safeguards, register_client
from broker.store.tables import Client

Name = Annotated[str, typer.Argument(metavar="NAME", help="As people will read it.")]
Public = Annotated[bool, typer.Option("--public", help="It cannot keep a secret: a program on people's computers.")]
RedirectUris = Annotated[list[str], typer.Option("--redirect-uri", metavar="URI", help="Exact; repeatable.")]
Origins = Annotated[
    list[str],
    typer.Option("--origin", metavar="ORIGIN", help="A web page that may call from a browser; repeatable."),
]
Address = Annotated[str, typer.Option(metavar="URL", help="Its web address, shown to people.")]
Unverified = Annotated[bool, typer.Option("--unverified", help="Warn people that nobody has checked this app.")]
Jwks = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Its public keys (a JWK set): it signs, and has no secret.")
]
JwksUri = Annotated[str, typer.Option(metavar="URL", help="Where it publishes them instead.")]
RequirePushed = Annotated[bool, typer.Option("--require-pushed", help="Take only pushed requests of it.")]
Dpop = Annotated[bool, typer.Option("--dpop", help="Bind each of its tokens to a key of its own.")]
Fapi2 = Annotated[bool, typer.Option("--fapi2", help="Hold it to the FAPI 2.0 Security Profile.")]


def add(
    name: Name,
    public: Public = False,
    redirect_uri: RedirectUris = [],  # noqa: B006 - typer's way
    origin: Origins = [],  # noqa: B006
    address: Address = "",
    unverified: Unverified = False,
    jwks: Jwks = None,
    jwks_uri: JwksUri = "",
    require_pushed: RequirePushed = False,
    dpop: Dpop = False,
    fapi2: Fapi2 = False,
    as_json: AsJson = False,
) -> None:
    """Register an app. The secret of a confidential one that does not sign is printed once."""
    safeguards = Safeguards(_read_keys(jwks), jwks_uri, require_pushed, dpop, fapi2)

    async def write(tx: AsyncSession, now: int) -> tuple[Client, Secret | None]:
        return await register_client(
            tx,
            now,
            name,
            public=public,
            redirect_uris=tuple(redirect_uri),
            origins=tuple(origin),
            address=address,
            verified=not unverified,
            safeguards=safeguards,
        )

    async def work(desk: Desk) -> tuple[Client, Secret | None]:
        return await desk.db.write(lambda tx: write(tx, desk.now()))

    try:
        added, secret = at_desk(work)
    except BadClient as error:
        wrong(error.description)
    _say_added(added, secret, as_json=as_json)


def _say_added(added: Client, secret: Secret | None, *, as_json: bool) -> None:
    told = {"client_id": added.id} | ({} if secret is None else {"client_secret": secret.reveal()})
    if as_json:
        say_json(told)
        return
    for label, value in told.items():
        say(f"{label}  {value}")


def _read_keys(file: Path | None) -> str:
    try:
        return "" if file is None else file.read_text("utf-8").strip() or "{}"
    except (OSError, UnicodeDecodeError):
        wrong(f"The file {str(file)!r} cannot be read.")
