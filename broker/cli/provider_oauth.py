"""broker provider oauth: a provider that gives tokens instead of keys, and this broker as a client there."""

from typing import Annotated
from urllib.parse import urlsplit

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import read_secret, say, wrong
from broker.cli.desk import Desk, at_desk
from broker.store.token_tables import ProviderOAuth
from broker.vault.places import client_secret_place

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def oauth(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    authorize_url: Annotated[str, typer.Option(metavar="URL", help="Its authorization endpoint.")],
    token_url: Annotated[str, typer.Option(metavar="URL", help="Its token endpoint.")],
    client_id: Annotated[str, typer.Option(metavar="ID", help="What this broker is called there.")],
    scope: Annotated[list[str], typer.Option(metavar="SCOPE", help="What is asked for. Repeatable.")] = [],  # noqa: B006 - typer reads the default and never changes it
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read the client's secret; else it is public.")
    ] = False,
) -> None:
    """Let people connect their accounts at a provider that gives tokens (OAuth 2), rather than typing a key."""
    secret = read_secret("Client secret", from_stdin=True) if secret_stdin else None
    addresses = _address(authorize_url), _address(token_url)
    if not client_id.strip() or any(not word or " " in word for word in scope):
        wrong("--client-id must not be empty, and each --scope is one word.")

    async def work(desk: Desk) -> str:
        if desk.provider(name).is_brought:
            wrong("People's own servers take keys, not accounts.")
        vault, now = await desk.vault(), desk.now()

        async def write(tx: AsyncSession) -> None:
            row = ProviderOAuth(
                provider=name,
                authorize_url=addresses[0],
                token_url=addresses[1],
                client_id=client_id.strip(),
                sealed_secret="" if secret is None else vault.seal(secret, client_secret_place(name)),
                scopes=" ".join(scope),
                changed_at=now,
            )
            await tx.merge(row)
            await record(tx, now, "provider.oauth_set", OPERATOR, name, token_url=row.token_url)

        await desk.db.write(write)
        return desk.settings.public_url

    issuer = at_desk(work)
    say(f"People can connect {name}. Its redirect address is {issuer}/keys/connected")


def _address(text: str) -> str:
    """https, or this computer itself (RFC 8252 §7.3)."""
    try:
        parts = urlsplit(text)
        is_plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    except ValueError:
        wrong(f"{text!r} is no address.")
    if not (parts.scheme == "https" or is_plain) or not parts.hostname or parts.fragment or "@" in parts.netloc:
        wrong(f"{text!r} must be an https address without a fragment, or one of this computer.")
    return text
