"""broker price: what a token of each model costs."""

from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, group, say, say_json, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.money import MicroUSD, parse_decimal, to_decimal
from broker.core.usage import Price, Rates
from broker.prices.book import PriceBook
from broker.store import own_prices
from broker.store.tables import OwnPrice

price = group()

_DOLLARS = "Dollars a million tokens, such as 0.15."
_TITLES = ("provider", "model", "input", "output", "source", "version")


@price.command("list")
def listed(as_json: AsJson = False) -> None:
    """List every model with a price, in dollars a million tokens."""
    say_rows(_TITLES, at_desk(lambda desk: _find(desk, None)), as_json=as_json)


@price.command("show")
def show(model: Annotated[str, typer.Argument(metavar="MODEL")], as_json: AsJson = False) -> None:
    """Show what one model costs, with every provider that has it."""
    rows = at_desk(lambda desk: _find(desk, model))
    if not rows:
        wrong(f"No price is known for {model!r}, so calls to it are refused.")
    if as_json:
        say_json([dict(zip(_TITLES, row, strict=True)) for row in rows])
        return
    say_rows(_TITLES, rows, as_json=False)


@price.command("set")
def change(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER")],
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    dollars_in: Annotated[str, typer.Option("--input", metavar="USD_PER_MTOK", help=_DOLLARS)],
    dollars_out: Annotated[str, typer.Option("--output", metavar="USD_PER_MTOK", help=_DOLLARS)],
) -> None:
    """Set a price of your own; it goes before the packaged one from the next call on."""
    if not 0 < len(model) <= 200 or not model.isascii() or not model.isprintable() or " " in model or "*" in model:
        wrong(f"{model!r} is no model id.")
    row = OwnPrice(provider=provider, model=model, created_at=0, input=_read(dollars_in), output=_read(dollars_out))

    async def work(desk: Desk) -> None:
        row.provider = desk.provider(provider).name
        row.created_at = desk.now()

        async def write(tx: AsyncSession) -> None:
            await own_prices.add(tx, row)
            await record(tx, row.created_at, "price.set", OPERATOR, model, provider=provider)

        await desk.db.write(write)

    at_desk(work)
    say(f"{provider} {model}: {dollars_in} in, {dollars_out} out, in dollars a million tokens.")


async def _find(desk: Desk, model: str | None) -> list[tuple[str, ...]]:
    book = PriceBook()
    await book.refresh(desk.db)
    found = []
    for provider in desk.registry.names():
        for name in [model] if model is not None else book.models(provider):
            known = book.find(provider, name, desk.now(), output=False)
            if known is not None:
                found.append(_row(provider, name, known))
    return found


def _row(provider: str, model: str, known: Price) -> tuple[str, ...]:
    rates: Rates = known.tiers[0].rates
    return (provider, model, _shown(rates.input), _shown(rates.output), known.source, known.version)


def _read(text: str) -> int:
    amount = parse_decimal(text)
    if amount is None:
        wrong(f"{text!r} is not an amount of dollars a million tokens, such as 0.15.")
    return amount


def _shown(rate: int) -> str:
    return to_decimal(MicroUSD(rate))
