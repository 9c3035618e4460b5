"""broker ledger: whether the books are right, and what the dead left held."""

import typer

from broker.cli.command import AsJson, group, say, say_json, say_rows
from broker.cli.desk import Desk, at_desk
from broker.cli.ledger_limits import limits
from broker.core.clock import to_seconds
from broker.core.counted import of_number
from broker.core.money import MicroUSD, to_decimal
from broker.ledger import sweep, thresholds, verify
from broker.ledger.books import OwnBooks
from broker.start import system_clock
from broker.store.limit_tables import Threshold

ledger = group()
ledger.command("limits")(limits)


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

    settled = at_desk(work)
    say(f"Settled {settled} {of_number(settled, 'call')}.")


@ledger.command("thresholds")
def listed(as_json: AsJson = False) -> None:
    """List which limits came to 50, 80 or 100 per cent, the newest first."""
    rows = at_desk(lambda desk: desk.db.read(thresholds.newest))
    if as_json:
        say_json([row.model_dump() | {"at": to_seconds(row.at), "period_start": _start(row)} for row in rows])
        return
    told = [
        (str(to_seconds(row.at)), row.scope_kind, row.scope_id, row.measure, f"{row.percent}%", _figure(row))
        for row in rows
    ]
    say_rows(("at", "limit_of", "id", "measure", "reached", "limit"), told, as_json=False)


def _start(row: Threshold) -> int | None:
    return to_seconds(row.period_start) if row.period_start else None


def _figure(row: Threshold) -> str:
    return f"${to_decimal(MicroUSD(row.limit))}" if row.measure == "money" else f"{row.limit:,}"
