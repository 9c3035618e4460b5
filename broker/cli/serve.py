"""broker serve, broker migrate and broker demo."""

import asyncio

import typer

from broker.cli.command import say, settings


def serve() -> None:
    """Serve until Ctrl-C."""
    from broker.ops import log
    from broker.serve.parent import run
    from broker.start import system_clock

    log.configure()
    raise typer.Exit(asyncio.run(run(settings(), system_clock)))


def migrate() -> None:
    """Migrate an older database, with a backup beside it."""
    from broker.start import bring_up_to_date, lock_folder, look_over

    chosen = settings()
    look_over(chosen)
    lock = lock_folder(chosen)
    try:
        changed = bring_up_to_date(chosen)
    finally:
        lock.release()
    say("The database is up to date." if not changed else "The database has been migrated.")


def demo() -> None:
    """Try it: a broker, a sandbox provider, an app."""
    from broker.demo.run import main

    main()
