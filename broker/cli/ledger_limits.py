"""broker ledger limits: what the limits above the grants have come to."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.cli.command import AsJson, say_json, say_rows
from broker.cli.desk import Desk, at_desk
from broker.core.clock import to_seconds
from broker.core.money import MicroUSD, to_decimal
from broker.ledger.limits import Figure
from broker.ledger.overall_used import Used, every
from broker.store import users

Line = dict[str, object]


def limits(as_json: AsJson = False) -> None:
    """List the limits above the grants, and what was used of each in this period."""

    async def work(desk: Desk) -> list[tuple[Used, str]]:
        return await desk.db.read(lambda tx: _read(tx, desk.now()))

    found = at_desk(work)
    if as_json:
        say_json([_line(limit, email) for limit, email in found])
        return
    rows = [(each.limit.scope_kind, _key(each), email, *_figures(each)) for each, email in found]
    say_rows(("limit_of", "id", "user", "spent", "requests"), rows, as_json=False)


async def _read(tx: AsyncSession, now: int) -> list[tuple[Used, str]]:
    emails = {user.id: user.email for user in await users.listed(tx)}
    return [(each, emails.get(_user(each), "")) for each in await every(tx, now)]


def _user(limit: Used) -> str:
    """Of whom it is; empty for a provider's."""
    kind, scope_id = limit.limit.scope_kind, limit.limit.scope_id
    return "" if kind == "provider" else scope_id.partition("/")[0]


def _key(limit: Used) -> str:
    """The key's or the provider's; a tier's allocation is of all keys."""
    kind, scope_id = limit.limit.scope_kind, limit.limit.scope_id
    return "" if kind == "tier" else scope_id.rpartition("/")[2]


def _line(limit: Used, email: str) -> Line:
    money, requests = limit.money, limit.requests
    return {
        "limit_of": limit.limit.scope_kind,
        "id": _key(limit) or None,
        "user": email or None,
        "per": "total" if limit.limit.per == "grant" else limit.limit.per,
        "resets_at": None if limit.resets_at is None else to_seconds(limit.resets_at),
        "budget": None if money.limit is None else _money(money),
        "requests": None if requests.limit is None else {"limit": requests.limit, "used": requests.used},
    }


def _money(figure: Figure) -> Line:
    return {name: getattr(figure, name) for name in ("limit", "settled", "held", "remaining", "overrun")}


def _figures(limit: Used) -> tuple[str, str]:
    money, requests = limit.money, limit.requests
    spent = to_decimal(MicroUSD(money.settled + money.overrun))
    of_money = "" if money.limit is None else f"${spent} of ${to_decimal(MicroUSD(money.limit))}"
    return of_money, "" if requests.limit is None else f"{requests.used:,} of {requests.limit:,}"
