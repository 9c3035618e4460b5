"""broker tier: what each user may spend a month on the operator's keys, by the tier that the operator puts them in."""

import re
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, group, say, say_json, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.limit_options import Budget, Requests, changed, in_words, terms_of
from broker.core.counted import counted
from broker.ledger import overall_limits
from broker.ledger.overall_limits import Terms
from broker.store.limit_tables import OverallLimit

tier = group()

Name = Annotated[str, typer.Argument(metavar="NAME")]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


@tier.command("add")
def add(name: Name, budget: Budget = None, requests: Requests = None) -> None:
    """Add a tier with its monthly allocation."""
    if not _NAME.fullmatch(name) or name == "none":
        wrong("A tier's name has small letters, digits, - and _, at most 64, and is not none.")
    _save("tier.added", name, budget, requests)


@tier.command("set")
def change(name: Name, budget: Budget = None, requests: Requests = None) -> None:
    """Change a tier's allocation, for all who are in it, from the next call on."""
    if budget is None and requests is None:
        wrong("Say what to change: --budget or --requests.")
    _save("tier.changed", name, budget, requests)


@tier.command("list")
def listed(as_json: AsJson = False) -> None:
    """List the tiers, and how many users are in each."""

    async def read(tx: AsyncSession) -> list[tuple[OverallLimit, int]]:
        rows = await overall_limits.listed(tx, "tier")
        return [(row, len(await overall_limits.in_tier(tx, row.scope_id))) for row in rows]

    found = at_desk(lambda desk: desk.db.read(read))
    if as_json:
        say_json([
            {"name": row.scope_id, "budget": row.budget, "requests": row.max_requests, "users": users}
            for row, users in found
        ])  # fmt: skip
        return
    say_rows(("name", "limit", "users"), [(row.scope_id, in_words(row), str(n)) for row, n in found], as_json=False)


@tier.command("remove")
def remove(name: Name) -> None:
    """Remove a tier that nobody is in."""

    async def work(tx: AsyncSession, now: int) -> None:
        users = len(await overall_limits.in_tier(tx, name))
        if users:
            wrong(
                f"{counted(users, 'user is', 'users are')} in {name}. Put {'them' if users > 1 else 'that user'} into another tier with: broker user set EMAIL --tier …"
            )
        if not await overall_limits.remove_limit(tx, "tier", name, now):
            wrong(f"There is no tier {name!r}.")
        await record(tx, now, "tier.removed", OPERATOR, name)

    at_desk(lambda desk: desk.db.write(lambda tx: work(tx, desk.now())))
    say(f"Removed {name}.")


def _save(event: str, name: str, budget: str | None, requests: str | None) -> None:
    async def work(desk: Desk) -> Terms:
        return await desk.db.write(lambda tx: _write(tx, desk.now(), event, name, (budget, requests)))

    say(f"{name}: {in_words(at_desk(work))}.")


async def _write(tx: AsyncSession, now: int, event: str, name: str, typed: tuple[str | None, str | None]) -> Terms:
    before = await overall_limits.load(tx, "tier", name)
    if before is None and event == "tier.changed":
        wrong(f"There is no tier {name!r}. Add it with: broker tier add {name} …")
    if before is not None and event == "tier.added":
        wrong(f"There is a tier {name!r} already. Change it with: broker tier set {name} …")
    after = changed(terms_of(before, "tier"), *typed)
    if after is None:
        wrong("A tier limits money or requests: say --budget or --requests.")
    await overall_limits.set_limit(tx, "tier", name, after, now)
    await record(tx, now, event, OPERATOR, name, budget=after.budget, requests=after.max_requests)
    return after
