"""broker price set and load: the operator's own prices."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import say, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.counted import counted
from broker.core.money import parse_decimal
from broker.prices.file import MAX_BYTES, BadPrices, is_model_id, read_prices
from broker.store import own_prices
from broker.store.tables import OwnPrice

_DOLLARS = "Dollars a million tokens, such as 0.15."
_DEAREST = "If left out, the dearest of the input prices."
Dollars = Annotated[str | None, typer.Option(metavar="USD_PER_MTOK", help=_DEAREST)]


def change(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER")],
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    dollars_in: Annotated[str, typer.Option("--input", metavar="USD_PER_MTOK", help=_DOLLARS)],
    dollars_out: Annotated[str, typer.Option("--output", metavar="USD_PER_MTOK", help=_DOLLARS)],
    cached_input: Dollars = None,
    cache_write: Dollars = None,
    cache_write_1h: Annotated[
        str | None,
        typer.Option(metavar="USD_PER_MTOK", help="If left out, twice the price of input, or the dearest if more."),
    ] = None,
    searches: Annotated[
        str | None, typer.Option(metavar="USD_PER_1000", help="Dollars a thousand searches, of models that rank.")
    ] = None,
) -> None:
    """Set a price of your own; it goes before the packaged one from the next call on.

    MODEL is an id, or * for all models of the provider that have no other price.
    """
    if not is_model_id(model):
        wrong(f"{model!r} is no model id.")
    row = OwnPrice(
        provider=provider,
        model=model,
        created_at=0,
        input=_read(dollars_in),
        output=_read(dollars_out),
        cached_input=_read_or_none(cached_input),
        cache_write=_read_or_none(cache_write),
        cache_write_long=_read_or_none(cache_write_1h),
        searches=None if searches is None else _read(searches) * 1_000,
    )
    _store([row])
    say(f"{provider} {model}: {dollars_in} in, {dollars_out} out, in dollars a million tokens.")


def load(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON or CSV.")],
) -> None:
    """Set the prices of a file, all of them or none; each goes before the packaged one from the next call on."""
    try:
        if source == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            wrong("The file is larger than 4 MB.")
        rows = read_prices(raw)
    except OSError as error:
        wrong(f"The file {source!r} cannot be read ({error.strerror}).")
    except BadPrices as error:
        wrong(f"Nothing was set: {error}.")
    _store(rows)
    say(f"{counted(len(rows), 'price is', 'prices are')} set.")


def _store(rows: list[OwnPrice]) -> None:
    async def work(desk: Desk) -> None:
        now = desk.now()
        for row in rows:
            row.provider, row.created_at = desk.provider(row.provider).name, now

        async def write(tx: AsyncSession) -> None:
            for row in rows:
                await own_prices.add(tx, row)
                await record(tx, now, "price.set", OPERATOR, row.model, provider=row.provider)

        await desk.db.write(write)
        await desk.heeded()

    at_desk(work)


def _read_or_none(text: str | None) -> int | None:
    return None if text is None else _read(text)


def _read(text: str) -> int:
    amount = parse_decimal(text)
    if amount is None:
        wrong(f"{text!r} is not an amount of dollars a million tokens, such as 0.15.")
    return amount
