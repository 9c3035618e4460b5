"""broker price: what a token of each model costs."""

from typing import Annotated

import typer

from broker.cli.command import AsJson, group, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.price_markup import markup
from broker.cli.price_own import change, load
from broker.cli.price_remove import remove
from broker.core.money import MicroUSD, percent, to_decimal
from broker.core.usage import Price, Tier
from broker.prices.book import EVERY, PriceBook

price = group()
price.command("set")(change)
price.command("remove")(remove)
price.command("load")(load)
price.command("markup")(markup)

_TITLES = ("provider", "model", "input", "output", "source", "version", "markup")
_ALL_TITLES = (
    *("provider", "model", "above", "input", "output", "cached_input", "cache_write", "cache_write_1h"),
    *("extras", "source", "version", "since", "markup"),
)


@price.command("list")
def listed(as_json: AsJson = False) -> None:
    """List every model with a price, in dollars a million tokens; * stands for those that have no other."""
    say_rows(_TITLES, at_desk(_every), as_json=as_json)


@price.command("show")
def show(model: Annotated[str, typer.Argument(metavar="MODEL")], as_json: AsJson = False) -> None:
    """Show all prices of one model, with every provider that has it, where they come from, and since when they hold."""
    rows = at_desk(lambda desk: _of(desk, model))
    if not rows:
        set_it = f"broker price set PROVIDER {model} --input USD --output USD"
        wrong(f"No price is known for {model!r}, so calls to it are refused. Set one, a million tokens: {set_it}")
    say_rows(_ALL_TITLES, rows, as_json=as_json)


async def _every(desk: Desk) -> list[tuple[str, ...]]:
    book = PriceBook()
    await book.refresh(desk.db)
    found: list[tuple[str, ...]] = []
    for provider in desk.registry.names():
        for name in [*book.models(provider), EVERY]:
            known = book.find(provider, name, desk.now(), "any")
            if known is not None:
                rates = known.tiers[0].rates
                figures = (_shown(rates.input), _shown(rates.output))
                found.append((provider, name, *figures, known.source, known.version, _added(known)))
    return found


async def _of(desk: Desk, model: str) -> list[tuple[str, ...]]:
    """A row for each size of input from which on the price is another."""
    book = PriceBook()
    await book.refresh(desk.db)
    found: list[tuple[str, ...]] = []
    for provider in desk.registry.names():
        known = book.find(provider, model, desk.now(), "any")
        if known is not None:
            since = book.since(provider, model, desk.now())
            day = since.isoformat() if since else ""
            origin = (known.source, known.version, day, _added(known))
            found += [(provider, model, *_figures(tier), *origin) for tier in known.tiers]
    return found


def _figures(tier: Tier) -> tuple[str, ...]:
    rates = tier.rates
    of_input = (rates.cached_input, rates.cache_write, rates.cache_write_long)
    beside = " ".join(f"{name}={_shown(rate)}" for name, rate in rates.extras.named().items())
    return (str(max(tier.start, 0)), *(_shown(rate) for rate in (rates.input, rates.output, *of_input)), beside)


def _added(known: Price) -> str:
    """The figures are those without it."""
    return f"{percent(known.markup)}%" if known.markup else ""


def _shown(rate: int) -> str:
    return to_decimal(MicroUSD(rate))
