"""What the operator adds to prices: to which, how much, and rounded up once a call."""

from collections.abc import AsyncIterator
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.extras import Extras
from broker.core.money import MicroUSD, ceil_div, parse_percent, percent
from broker.core.strict_json import loads
from broker.core.usage import Price, Rates, Tier, Usage
from broker.prices.book import PriceBook
from broker.store import own_prices
from broker.store.database import Database
from broker.store.tables import Markup, OwnPrice
from broker.web.calls import rate_words
from tests.stores import Store
from tests.turned_clock import NOON


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    opened = store.open()
    yield opened
    await opened.close()


async def book(db: Database, *rows: OwnPrice | Markup) -> PriceBook:
    async def work(tx: AsyncSession) -> None:
        for row in rows:
            await own_prices.add(tx, row)

    await db.write(work)
    read = PriceBook()
    await read.refresh(db)
    return read


def added(models: str, hundredths: int, at: int = 1, provider: str = "openai") -> Markup:
    return Markup(provider=provider, models=models, created_at=at, added=hundredths)


def own(model: str, rate_in: int, rate_out: int, provider: str = "ollama") -> OwnPrice:
    return OwnPrice(provider=provider, model=model, created_at=5, input=rate_in, output=rate_out)


@pytest.mark.parametrize(
    ("model", "expected"), [("gpt-4.1-mini", 300), ("gpt-4.1", 200), ("gpt-4o", 100), ("gpt-4o-mini", 0)]
)
async def test_the_one_that_is_named_most_exactly_counts(db: Database, model: str, expected: int) -> None:
    marked = [added("*", 100), added("gpt-4.1*", 200), added("gpt-4.1-mini", 300), added("gpt-4o-mini", 0)]
    found = (await book(db, *marked)).find("openai", model, NOON)
    assert found is not None
    assert found.markup == expected


async def test_the_newest_counts_and_other_providers_have_none(db: Database) -> None:
    read = await book(db, added("*", 500), added("*", 250, at=2))
    here, there = read.find("openai", "gpt-4o-mini", NOON), read.find("anthropic", "claude-haiku-4-5", NOON)
    assert here is not None
    assert there is not None
    assert (here.markup, there.markup) == (250, 0)


async def test_it_is_added_to_prices_of_ones_own_and_of_batches_too(db: Database) -> None:
    read = await book(db, added("*", 1_000), own("gpt-4o-mini", 2_000_000, 4_000_000, "openai"))
    for found in (read.find("openai", "gpt-4o-mini", NOON), read.find_batch("openai", "gpt-4o-mini", NOON)):
        assert found is not None
        # 100 tokens at $2.20 and 100 at $4.40 a million.
        assert found.cost(Usage(100, 100)) == 660


async def test_what_has_no_other_price_may_cost_nothing_at_a_server_of_ones_own(db: Database) -> None:
    read = await book(db, own("*", 0, 0), own("big", 1_000_000, 1_000_000))
    free, big = read.find("ollama", "llama3.2:1b", NOON), read.find("ollama", "big", NOON)
    assert free is not None
    assert big is not None
    assert (free.cost(Usage(10**6, 10**6)), big.cost(Usage(10**6, 0))) == (0, 10**6)
    assert (free.source, rate_words(free)) == ("operator", "Free of charge here")
    assert read.models("ollama") == ["big"]
    assert read.since("ollama", "llama3.2:1b", NOON) == date(1970, 1, 1)


async def test_an_asterisk_never_stands_before_a_price_that_is_listed(db: Database) -> None:
    read = await book(db, own("*", 0, 0, "openai"))
    found = read.find("openai", "gpt-4o-mini", NOON)
    assert found is not None
    assert found.source != "operator"


async def test_a_search_of_ones_own_server_has_its_price(db: Database) -> None:
    row = own("ranker", 0, 0)
    row.searches = 2_000_000_000
    found = (await book(db, row)).find("ollama", "ranker", NOON)
    assert found is not None
    priced = found.using(Extras(searches=3))
    assert priced is not None
    assert priced.worst_case(10**6, 0) == priced.cost(Usage(0, 0, extras=Extras(searches=3))) == 6_000
    assert rate_words(found) == "$2.00 per thousand searches"


PRICES = st.builds(
    lambda rates, markup: Price("test", "1", (Tier(-1, rates),), markup=markup),
    st.builds(Rates, *[st.integers(0, 200_000_000)] * 5),
    st.integers(0, 100_000),
)


@given(PRICES, st.integers(0, 9_000), st.integers(0, 9_000))
def test_it_is_rounded_up_once_with_the_cost(price: Price, read: int, written: int) -> None:
    rates = price.tiers[0].rates
    exact = (read * rates.input + written * rates.output) * (10_000 + price.markup)
    assert price.cost(Usage(read, written)) == ceil_div(exact, 10**10)
    assert price.cost(Usage(read, written)) <= price.worst_case(read, written)


@given(PRICES, st.integers(0, 9_000), st.integers(0, 10**7))
def test_what_is_affordable_with_it_is_afforded(price: Price, read: int, money: int) -> None:
    output = price.affordable_output(read, MicroUSD(money))
    if output >= 0:
        assert price.worst_case(read, min(output, 10**6)) <= money


@given(PRICES)
def test_a_reservation_keeps_it(price: Price) -> None:
    stored = loads(price.text.encode())
    assert isinstance(stored, dict)
    assert Price.from_dict(dict(stored)) == price


def test_a_price_is_shown_as_it_is_charged() -> None:
    price = Price("test", "1", (Tier(-1, Rates.of(400_000, 1_600_000)),), markup=1_250)
    assert rate_words(price) == "$0.45 in, $1.80 out per million tokens"


@pytest.mark.parametrize(("text", "hundredths"), [("12.5", 1_250), ("0", 0), ("1000", 100_000), ("0.01", 1)])
def test_percentages_are_typed_as_they_are_shown(text: str, hundredths: int) -> None:
    assert (parse_percent(text), percent(hundredths)) == (hundredths, text)


@pytest.mark.parametrize("text", ["-1", "1000.01", "1.234", "x", "", "5%", "1e2", "٣"])
def test_what_is_no_percentage_is_none(text: str) -> None:
    assert parse_percent(text) is None
