"""broker ledger: whether the books are right, and what the dead left held."""

import typer

from broker.cli.command import group, say
from broker.cli.desk import Desk, at_desk
from broker.ledger import sweep, verify
from broker.ledger.books import OwnBooks
from broker.start import system_clock

ledger = group()


@ledger.command("verify")
def prove() -> None:
    """Prove that every counter is the sum of its calls; the first fault otherwise, with exit status 1."""
    verdict = at_desk(lambda desk: verify.verify(desk.db))
    say(str(verdict))
    raise typer.Exit(1 if verdict.fault else 0)


@ledger.command("sweep")
def settle_the_held() -> None:
    """Settle at their bound the calls whose process has died."""

    async def work(desk: Desk) -> int:
        return await sweep.sweep(desk.db, OwnBooks(desk.db, system_clock), system_clock)

    say(f"Settled {at_desk(work)} calls.")
