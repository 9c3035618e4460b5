"""What every command shares: how it is told things, how it says them, and how it reaches the database."""

import json
import sys
from typing import Never, TypeVar

import typer

from broker.core.errors import CannotStart
from broker.core.secret import Secret
from broker.settings import Settings, load_settings

T = TypeVar("T")

WAIT_SECONDS = 2.0
MAX_SECRET = 8192


class Wrong(typer.TyperException):
    """What was typed cannot be done; nothing was changed."""

    exit_code = 2


def wrong(line: str) -> Never:
    raise Wrong(line)


def group(about: str) -> typer.Typer:
    return typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def settings() -> Settings:
    try:
        return load_settings()
    except CannotStart as error:
        raise Wrong(error.description) from None


def say(text: str) -> None:
    print(text)


def say_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def read_secret(what: str, *, from_stdin: bool, confirm: bool = False) -> Secret:
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
