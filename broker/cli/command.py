"""What every command shares: how it is told things, how it says them, and what it says when it cannot."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Never

import typer

from broker.core.errors import CannotStart
from broker.core.secret import Secret

if TYPE_CHECKING:
    from broker.settings import Settings

MAX_SECRET = 8192

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Wrong(typer.TyperException):
    """What was typed cannot be done; nothing was changed."""

    exit_code = 2


def wrong(line: str) -> Never:
    raise Wrong(line)


def group() -> typer.Typer:
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def settings() -> "Settings":
    from broker.settings import load_settings

    try:
        return load_settings()
    except CannotStart as error:
        raise Wrong(error.description) from None


def require_database(chosen: "Settings") -> None:
    """For what changes or copies all that is there: elsewhere it would begin a new broker, and tell of that one."""
    if not chosen.is_on_postgresql and not chosen.database_file.exists():
        wrong(f"There is no database in {chosen.data_dir}.")


def say(text: str) -> None:
    print(text)


def say_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def say_rows(titles: Sequence[str], rows: Sequence[Sequence[str]], *, as_json: bool) -> None:
    """A table for people, or one JSON object a row."""
    if as_json:
        say_json([dict(zip(titles, row, strict=True)) for row in rows])
        return
    lines = [[title.replace("_", " ") for title in titles], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def read_secret(what: str, *, from_stdin: bool = False, confirm: bool = False) -> Secret:
    """One line of standard input, or the answer to a prompt that does not show it; never an argument."""
    if from_stdin or not sys.stdin.isatty():
        text = sys.stdin.readline(MAX_SECRET + 1).rstrip("\r\n")
    else:
        text = typer.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
    if not text:
        wrong(f"No {what.lower()} was given on standard input.")
    if len(text) > MAX_SECRET:
        wrong(f"The {what.lower()} is too long.")
    return Secret(text)
