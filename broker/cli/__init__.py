"""The command line, one file a noun."""

import os
import sys
from collections.abc import Sequence

import typer

from broker.cli import serve
from broker.core.errors import BrokerError

_INTERRUPTED = 130

app = typer.Typer(
    name="broker",
    help="Lends AI provider keys to apps, within limits that a person approved.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(serve.serve)
app.command()(serve.migrate)
app.command()(serve.demo)


def main() -> None:
    os.umask(0o077)
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """One command; gives the exit status. What goes wrong is one clear line on standard error."""
    command = typer.main.get_command(app)
    try:
        status = command.main(list(words), prog_name="broker", standalone_mode=False)
    except typer.TyperException as error:
        return _complain(error.format_message(), error.exit_code)
    except BrokerError as error:
        return _complain(error.description, 1)
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    return status if isinstance(status, int) else 0


def _complain(line: str, status: int) -> int:
    print(line, file=sys.stderr)
    return status
