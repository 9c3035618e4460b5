"""broker price remove: the operator's own price taken back, and what holds without it."""

from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import say, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.money import MicroUSD, to_decimal
from broker.core.usage import Price
from broker.prices.book import EVERY, PriceBook
from broker.prices.book import OPERATOR as OWN
from broker.store import own_prices


def remove(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As it was set; '*' stays in quotation marks.")],
) -> None:
    """Take a price of your own back; the packaged one holds from the next call on, where there is one."""

    async def work(desk: Desk) -> Price | None:
        name, now = desk.provider(provider).name, desk.now()

        async def write(tx: AsyncSession) -> None:
            gone = await own_prices.remove(tx, name, model)
            if gone is None:
                wrong(f"There is no price of your own for {provider} {model}.")
            figures = {"input": gone.input, "output": gone.output}
            await record(tx, now, "price.removed", OPERATOR, model, provider=name, **figures)

        await desk.db.write(write)
        await desk.heeded()
        book = PriceBook()
        await book.refresh(desk.db)
        return book.find(name, model, now, "any")

    left = at_desk(work)
    say(f"{provider} {model}: your price is removed.")
    say(f"From the next call on: {_holds(model, left)}.")


def _holds(model: str, left: Price | None) -> str:
    if left is None:
        return (
            "models that have no other price are refused" if model == EVERY else "refused, as no other price is known"
        )
    rates = left.tiers[0].rates
    dollars_in, dollars_out = (to_decimal(MicroUSD(rate)) for rate in (rates.input, rates.output))
    source = "another price of your own" if left.source == OWN else f"{left.source} {left.version}"
    return f"{dollars_in} in, {dollars_out} out, in dollars a million tokens, from {source}"
