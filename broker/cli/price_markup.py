"""broker price markup: what the operator adds to prices, be they packaged or their own."""

import re
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import say, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.money import parse_percent, percent
from broker.prices.book import EVERY
from broker.store import own_prices
from broker.store.tables import Markup

_MODELS = re.compile(r"[!-)+-~]{1,200}\*?|\*", re.ASCII)


def markup(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER")],
    words: Annotated[
        list[str],
        typer.Argument(metavar="[MODELS] PERCENT", help="Such as 12.5, or gpt-4.1* 12.5; 0 takes a markup away."),
    ],
) -> None:
    """Add a percentage to the prices of a provider, of one of its models, or of those whose ids begin alike.

    The one named most exactly counts. It is computed with the call's cost and rounded up once.
    """
    *named, typed = words
    if len(named) > 1:
        wrong("Say one model, or the beginning of ids with an asterisk, and then the percentage.")
    models = named[0] if named else EVERY
    if not _MODELS.fullmatch(models):
        wrong(f"{models!r} is neither a model id nor the beginning of ids with an asterisk.")
    added = parse_percent(typed)
    if added is None:
        wrong(f"{typed!r} is not a percentage from 0 to 1000 with at most two places, such as 12.5.")

    async def work(desk: Desk) -> None:
        name, now = desk.provider(provider).name, desk.now()

        async def write(tx: AsyncSession) -> None:
            await own_prices.add(tx, Markup(provider=name, models=models, created_at=now, added=added))
            await record(tx, now, "price.marked_up", OPERATOR, models, provider=name, hundredths=added)

        await desk.db.write(write)
        await desk.heeded()

    at_desk(work)
    say(f"{provider} {models}: {percent(added)} % is added to each price.")
