"""What all calls to a provider may come to, by whomever they are made."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.desk import Desk
from broker.cli.limit_options import Per, changed, terms_of
from broker.ledger import overall_limits

Typed = tuple[str | None, str | None, Per | None]
"""Budget, requests and period, as they were typed."""


async def limit_provider(desk: Desk, name: str, typed: Typed) -> None:
    async def write(tx: AsyncSession) -> None:
        now = desk.now()
        after = changed(terms_of(await overall_limits.load(tx, "provider", name)), *typed)
        if after is None:
            await overall_limits.remove_limit(tx, "provider", name, now)
            await record(tx, now, "provider.unlimited", OPERATOR, name)
            return
        await overall_limits.set_limit(tx, "provider", name, after, now)
        figures = {"budget": after.budget, "requests": after.max_requests, "per": after.per}
        await record(tx, now, "provider.limited", OPERATOR, name, **figures)

    await desk.db.write(write)
