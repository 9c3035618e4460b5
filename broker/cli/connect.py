"""broker connect: a program on this computer gets a grant of its own, which a person approves in a browser anywhere."""

import os
import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import typer

from broker.cli import profile
from broker.cli.command import settings, wrong
from broker.cli.profile import Profile, require_name
from broker.cli.telling import note
from broker.cli.tools import TOOLS, Exports, JsonFile, Line, Place, Settings, Tool, dialect_of
from broker.cli.wish import Said, wish_of

if TYPE_CHECKING:
    from broker.cli.tool_files import Change

Client = Annotated[str, typer.Argument(metavar="CLIENT", help=f"One of {', '.join(TOOLS)}.")]
IssuerOption = Annotated[str, typer.Option("--issuer", metavar="URL", help="The broker; else BROKER_ISSUER.")]
Provider = Annotated[str, typer.Option(metavar="NAME", help="Else the one that the client is made for.")]
Models = Annotated[str, typer.Option(metavar="A,B", help="Ids of models, or beginnings such as gpt-*.")]
Actions = Annotated[str, typer.Option(metavar="A,B", help="Else chat.")]
Budget = Annotated[str, typer.Option(metavar="USD", help="Such as 5.00; else what the broker proposes.")]
Days = Annotated[int, typer.Option(min=1, metavar="N", help="Else as many as the broker proposes.")]
Name = Annotated[str, typer.Option(help="Of the connection; else the client's.")]
ClientId = Annotated[str, typer.Option(metavar="ID", help="By which the broker knows it; else it registers itself.")]
Again = Annotated[bool, typer.Option("--again", help="Ask anew though the connection works.")]
Write = Annotated[bool, typer.Option("--write", help="Put the settings into the client's own file, not here.")]


class _Plan(NamedTuple):
    tool: Tool
    name: str
    address: str
    wish: dict[str, Any]
    chosen: Settings
    former: Profile | None


def connect(
    client: Client,
    issuer: IssuerOption = "",
    provider: Provider = "",
    models: Models = "",
    actions: Actions = "",
    budget: Budget = "",
    days: Days | None = None,
    name: Name = "",
    client_id: ClientId = "",
    again: Again = False,
    write: Write = False,
) -> None:
    """Connect a program on this computer: you approve in a browser, and get its settings."""
    plan = _plan(client, name, issuer, Said(provider, models, actions, budget, days or 0))
    place = Place(
        f"{plan.address}/proxy/{plan.wish['provider']}", _token_command(plan.name), tuple(plan.wish["models"])
    )
    change = _change(plan, place) if write else None
    if again or not _works(plan, client_id):
        from broker.cli.asking import Wanted, connected
        from broker.cli.device_flow import Pace

        wanted = Wanted(plan.name, client, plan.tool.title, plan.address, plan.wish, client_id, plan.former)
        connected(wanted, Pace())
    _hand_out(plan, place, change)


def _plan(client: str, name: str, issuer: str, said: Said) -> _Plan:
    tool, called = TOOLS.get(client), require_name(name or client)
    if tool is None:
        wrong(f"{client!r} is not known here. Known: {', '.join(TOOLS)}.")
    former = profile.load(called) if called in profile.names() else None
    if former is not None and former.client != client:
        wrong(f"The connection {called!r} is one of {former.client}. Choose another --name.")
    address = _require_address(issuer or (former.issuer if former else "") or _issuer_here())
    wish = wish_of(tool, said, former.wish if former else {})
    dialect = dialect_of(tool, wish["provider"])
    if dialect not in tool.speaks:
        wrong(f"{tool.title} works with {' or '.join(tool.speaks)}, not with {wish['provider']}.")
    return _Plan(tool, called, address, wish, tool.speaks[dialect], former)


def _change(plan: _Plan, place: Place) -> "Change":
    if isinstance(plan.chosen, Exports | Line):
        wrong(f"{plan.tool.title} has no file for this: without --write the lines are printed.")
    from broker.cli.tool_files import planned

    return planned(plan.chosen, place)


def _works(plan: _Plan, client_id: str) -> bool:
    """Whether what there is already is what is wanted now, and still gives tokens."""
    former = plan.former
    if former is None or former.issuer != plan.address or former.wish != plan.wish:
        return False
    if client_id not in ("", former.client_id):
        return False
    from broker.cli.renewal import Ended, renewed

    try:
        renewed(former)
    except Ended:
        return False
    return True


def _hand_out(plan: _Plan, place: Place, change: "Change | None") -> None:
    chosen = plan.chosen
    if change is not None:
        change.make()
        note(f"Written: {change.path}")
    elif isinstance(chosen, Exports | Line):
        note("In your shell:")
        sys.stdout.write(chosen.text(place))
    else:
        from broker.cli.tool_files import path_of

        note(f"In {path_of(chosen)} (--write puts it there):")
        sys.stdout.write(chosen.text(place))
    if isinstance(chosen, JsonFile) and chosen.start is not None:
        note(f"Start it with {chosen.start(place)}")


def _issuer_here() -> str:
    return os.environ.get("BROKER_ISSUER", "") or settings().public_url


def _require_address(address: str) -> str:
    """As the broker calls itself: without a slash at its end."""
    from broker.settings import is_loopback

    trimmed = address.removesuffix("/")
    try:
        parts = urlsplit(trimmed)
        host = parts.hostname or ""
        is_plain = trimmed == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc and trimmed.isprintable()
    except ValueError:
        wrong(f"{address!r} is no address of a broker.")
    if not host or not is_plain or " " in trimmed or parts.scheme not in ("http", "https"):
        wrong(f"{address!r} is no address of a broker.")
    if parts.scheme == "http" and not is_loopback(host):
        wrong(f"{address!r} must begin with https://: only on this computer nobody listens in.")
    return trimmed


def _token_command(name: str) -> tuple[str, ...]:
    """As another program can run it: by a whole path where the shell would not find it."""
    words = ("broker",) if shutil.which("broker") else (sys.executable, "-m", "broker")
    return (*words, "token", name)
