"""broker token: a fresh access token, for tools that run a command to get one."""

from typing import Annotated

import typer

from broker.cli import profile
from broker.cli.command import AsJson, say, say_json, wrong

Name = Annotated[str, typer.Argument(metavar="[NAME]", help="The connection; not needed where there is one only.")]


def token(name: Name = "", as_json: AsJson = False) -> None:
    """Print a fresh access token of a connection, and nothing else."""
    from broker.cli.renewal import renewed, system_now

    kept = renewed(profile.load(name or _only()))
    if as_json:
        say_json({"access_token": kept.access_token.reveal(), "expires_in": max(0, kept.ends_at - system_now())})
        return
    say(kept.access_token.reveal())


def _only() -> str:
    found = profile.names()
    if not found:
        wrong("There is no connection yet. Make one: broker connect CLIENT")
    if len(found) > 1:
        wrong(f"Which connection? There are {', '.join(found)}.")
    return found[0]
