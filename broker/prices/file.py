"""A file of prices, as JSON or CSV: read as a whole, or refused with the place of its first fault."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from broker.core.money import parse_decimal
from broker.store.tables import OwnPrice

MAX_BYTES = 4 * 2**20

NEEDED = ("provider", "model", "input", "output")
KEPT = {"cached_input": "cached_input", "cache_write": "cache_write", "cache_write_1h": "cache_write_long"}
SEARCHES = "searches"
"""In dollars a thousand searches."""
"""What need not be there: its name in files and on the command line, and where it is stored."""


class BadPrices(ValueError):
    """A sentence without its full stop."""


def is_model_id(model: str) -> bool:
    """Or an asterisk alone, which stands for those that have no other price."""
    return (
        0 < len(model) <= 200
        and model.isascii()
        and model.isprintable()
        and (model == "*" or not set(" *") & set(model))
    )


def read_prices(raw: bytes) -> list[OwnPrice]:
    """Prices in dollars a million tokens, not yet dated; raises BadPrices."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadPrices("it is not UTF-8") from None
    rows = list(_json(text) if text.lstrip().startswith("[") else _csv(text))
    if not rows:
        raise BadPrices("it has no prices")
    found: dict[tuple[str, str], OwnPrice] = {}
    for place, row in rows:
        price = _price(place, row)
        if found.setdefault((price.provider, price.model), price) is not price:
            raise BadPrices(f"{place} has a price of {price.provider} {price.model} again")
    return list(found.values())


def _json(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        # Numbers stay the text they are, so that 0.1 is a tenth.
        listed = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        raise BadPrices("it is not a JSON array") from None
    for number, row in enumerate(listed, 1):
        if not isinstance(row, dict):
            raise BadPrices(f"entry {number} is no object")
        yield f"entry {number}", row


def _csv(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    table = csv.DictReader(text.splitlines(), strict=True, restval="")
    try:
        for row in table:
            if any(row.values()):
                yield f"line {table.line_num}", row
    except csv.Error:
        raise BadPrices(f"line {table.line_num} is no CSV") from None


def _price(place: str, row: dict[str, Any]) -> OwnPrice:
    for name in row.keys() - KEPT.keys() - {*NEEDED, SEARCHES}:
        raise BadPrices(
            f"{place} has a column that is not known: {name!r}" if name else f"{place} has too many columns"
        )
    for name in NEEDED:
        if not isinstance(row.get(name), str) or not row[name]:
            raise BadPrices(f"{place} has no {name}")
    if not is_model_id(row["model"]):
        raise BadPrices(f"{place}: {row['model']!r} is no model id")
    rates = {name: _amount(place, row[name]) for name in ("input", "output")}
    kept = {stored: _amount(place, row[name]) for name, stored in KEPT.items() if row.get(name) not in (None, "")}
    if row.get(SEARCHES) not in (None, ""):
        kept[SEARCHES] = _amount(place, row[SEARCHES]) * 1_000
    return OwnPrice(provider=row["provider"], model=row["model"], created_at=0, **rates, **kept)


def _amount(place: str, told: Any) -> int:
    amount = parse_decimal(told) if isinstance(told, str) else None
    if amount is None:
        raise BadPrices(f"{place}: {told!r} is not an amount of dollars a million tokens, such as 0.15")
    return amount
