"""broker serve, broker migrate and broker demo."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from broker.cli.command import say, settings


def serve() -> None:
    """Serve until Ctrl-C."""
    from broker.prices.errand import Errand

    chosen, errand = settings(), Errand()
    # While it reads, this process imports what it needs.
    from broker.ops import log
    from broker.serve.parent import run_until_told
    from broker.start import system_clock

    log.configure()
    _warn_of_open_settings()
    errand.done()
    raise typer.Exit(run_until_told(chosen, system_clock))


UP_TO_DATE = "The database is up to date."

To = Annotated[str, typer.Option("--to", metavar="postgresql+asyncpg://…", help="Copy everything there.")]


def migrate(to: To = "") -> None:
    """Migrate an older database, an SQLite file with a backup beside it; or move to PostgreSQL."""
    from broker.start import bring_up_to_date, is_current, lock_folder, look_over

    chosen = settings()
    if to:
        from broker.cli.move import move_to

        move_to(chosen, to)
        return
    look_over(chosen)
    if is_current(chosen):
        say(UP_TO_DATE)
        return
    lock = lock_folder(chosen)
    try:
        changed = bring_up_to_date(chosen)
    finally:
        lock.release()
    say("The database has been migrated." if changed else UP_TO_DATE)


def demo() -> None:
    """Try it: a broker, a sandbox provider, an app."""
    from broker.demo.run import main

    main()


def _warn_of_open_settings() -> None:
    from broker.settings import ENV_FILE

    file = Path(ENV_FILE)
    if file.exists() and file.stat().st_mode & 0o077:
        print(f"Warning: {ENV_FILE} can be read by others. Run: chmod 600 {ENV_FILE}", file=sys.stderr)
