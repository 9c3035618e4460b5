"""The command line, one file a noun."""

import gc
import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module

import typer

from broker.cli import serve
from broker.cli.backup import backup, restore, restored
from broker.cli.cleanup import cleanup
from broker.cli.connect import connect
from broker.cli.token import token
from broker.core.errors import BrokerError
from broker.store.busy import LOCKED, is_locked

NOUNS = {
    "user": "People who can sign in.",
    "tier": "What users may spend a month on the operator's keys.",
    "key": "Keys of providers, sealed.",
    "provider": "The upstreams that calls go to.",
    "client": "The apps that may ask.",
    "grant": "What has been lent to whom.",
    "price": "What a token of each model costs.",
    "ledger": "The books.",
    "audit": "What happened, and who did it.",
    "signing": "The keys that sign tokens and receipts.",
    "vault": "The master key, under which everything is sealed.",
}
_INTERRUPTED = 130


def main() -> None:
    os.umask(0o077)
    # Nothing that is imported is garbage, and the collector took a sixth of the time to find that out.
    gc.set_threshold(100_000, 20, 100)
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """One command; gives the exit status. What goes wrong is one clear line on standard error."""
    command = typer.main.get_command(commands(words[:1]))
    try:
        status = command.main(list(words), prog_name="broker", standalone_mode=False)
    except typer.TyperException as error:
        return _complain(error.format_message().replace("Value error, ", ""), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except Exception as error:
        line = LOCKED if is_locked(error) else error.description if isinstance(error, BrokerError) else ""
        if not line:
            raise
        return _complain(line, 1)
    return status if isinstance(status, int) else 0


def commands(nouns: Collection[str]) -> typer.Typer:
    """The commands, those of the given nouns in full: `broker --help` need not wait for what it will not run."""
    app = typer.Typer(
        name="broker",
        help="Lends AI provider keys to apps, within limits that a person approved.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for verb in (serve.serve, serve.migrate, serve.demo, backup, restore, restored, cleanup, connect, token):
        app.command()(verb)
    for noun, about in NOUNS.items():
        group = getattr(import_module(f"broker.cli.{noun}"), noun) if noun in nouns else typer.Typer()
        app.add_typer(group, name=noun, help=about)
    return app


def _complain(line: str, status: int) -> int:
    print(line, file=sys.stderr)
    return status
