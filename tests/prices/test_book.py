"""Which price a model has: the operator's own first, then the packaged ones, by exact id."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND
from broker.core.extras import ExtraRates, Extras
from broker.core.usage import Price, Usage
from broker.prices import packaged
from broker.prices.book import PriceBook, output_limit
from broker.store import own_prices
from broker.store.database import Database
from broker.store.tables import OwnPrice
from tests.stores import Store
from tests.turned_clock import NOON


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    opened = store.open()
    yield opened
    await opened.close()


async def with_own(db: Database, *prices: tuple[str, str, int, int, int]) -> PriceBook:
    """A book that has read the operator's own: (provider, model, created at, input, output)."""

    async def work(tx: AsyncSession) -> None:
        for provider, model, at, read, written in prices:
            await own_prices.add(
                tx, OwnPrice(provider=provider, model=model, created_at=at, input=read, output=written)
            )

    await db.write(work)
    book = PriceBook()
    await book.refresh(db)
    return book


def found(book: PriceBook, model: str, provider: str = "openai") -> Price:
    price = book.find(provider, model, NOON)
    assert price is not None
    return price


def rates(price: Price) -> tuple[int, int]:
    return price.tiers[0].rates.input, price.tiers[0].rates.output


def test_a_packaged_price_says_where_it_came_from() -> None:
    price = found(PriceBook(), "gpt-4o-mini")
    assert (price.source, rates(price)) == ("genai-prices", (150_000, 600_000))
    assert price.version.count(".") == 2
    assert price.tiers[0].rates.cached_input == 75_000


def test_an_hour_in_the_cache_has_its_listed_price() -> None:
    listed = found(PriceBook(), "claude-haiku-4-5", "anthropic").tiers[0].rates
    assert (listed.input, listed.cache_write, listed.cache_write_long) == (1_000_000, 1_250_000, 2_000_000)


@pytest.mark.parametrize("dated", ["gpt-4o-mini-2024-07-18", "gpt-4o-mini-20240718", "gpt-4o-mini-2099-01-01"])
def test_an_id_with_a_date_has_the_price_of_the_id(dated: str) -> None:
    assert found(PriceBook(), dated) == found(PriceBook(), "gpt-4o-mini")


def test_of_an_id_and_its_dated_siblings_the_dearest_is_taken() -> None:
    book = PriceBook()
    listed = packaged.price("openai", "gpt-4o", NOON)
    assert listed is not None
    assert rates(found(book, "gpt-4o-2024-05-13")) == (5_000_000, 15_000_000) > rates(listed)
    assert rates(found(book, "gpt-4o")) == (5_000_000, 15_000_000)
    assert rates(found(book, "gpt-4o-2024-11-20")) == (5_000_000, 15_000_000)


@pytest.mark.parametrize(
    "model",
    [
        "", "gpt", "GPT-4o-mini", "gpt-4o-mini ", "gpt-4o-mini-", "gpt-4o-mini-latest", "gpt-4o-mini-2024-07",
        "gpt-4o-mini-2024-07-18-x", "xgpt-4o-mini", "openai/gpt-4o-mini", "gpt-4o-mini-٢٠٢٤0718", "gpt-4o-mini-2024-07-18-2024-07-18",
    ],
)  # fmt: skip
def test_everything_else_has_no_price(model: str) -> None:
    assert PriceBook().find("openai", model, NOON) is None


def test_a_price_belongs_to_its_provider() -> None:
    book = PriceBook()
    assert book.find("anthropic", "gpt-4o-mini", NOON) is None
    assert book.find("nobody", "gpt-4o-mini", NOON) is None


@pytest.mark.parametrize("model", ["whisper-1", "tts-1", "dall-e-3", "gpt-live-1"])
def test_models_that_no_token_is_paid_for_have_no_price_by_token(model: str) -> None:
    assert PriceBook().find("openai", model, NOON) is None
    assert PriceBook().find("openai", model, NOON, "input") is None


def test_models_that_no_token_is_paid_for_have_a_price_by_what_is() -> None:
    heard, spoken = (PriceBook().find("openai", model, NOON, "units") for model in ("whisper-1", "tts-1"))
    assert heard is not None
    assert spoken is not None
    # $0.36 an hour, $15 a million characters.
    assert heard.cost(Usage(0, 0, extras=Extras(seconds=3_600))) == 360_000
    assert spoken.cost(Usage(0, 0, extras=Extras(characters=1_000_000))) == 15_000_000
    assert PriceBook().find("openai", "gpt-4o", NOON, "units") is None


def test_sound_pictures_and_searches_have_prices_of_their_own() -> None:
    speaking, drawing = found(PriceBook(), "gpt-audio"), found(PriceBook(), "gpt-image-1.5")
    assert speaking.tiers[0].rates.extras == ExtraRates(input_audio=32_000_000, output_audio=64_000_000)
    assert drawing.tiers[0].rates.extras == ExtraRates(
        input_image=8_000_000, cached_image=2_000_000, output_image=32_000_000
    )
    # $10 a thousand.
    assert found(PriceBook(), "gpt-4o-mini").tiers[0].rates.extras.searches == 10_000 * 1_000_000


@pytest.mark.parametrize(
    ("tier", "rate_in", "rate_out"), [("flex", 550_000, 2_200_000), ("priority", 2_000_000, 8_000_000)]
)
def test_a_service_tier_has_a_price_of_its_own(tier: str, rate_in: int, rate_out: int) -> None:
    price = PriceBook().find("openai", "o4-mini", NOON, tier=tier)
    assert price is not None
    assert rates(price) == (rate_in, rate_out)


@pytest.mark.parametrize(
    ("model", "tier"), [("gpt-4o-search-preview", "flex"), ("o4-mini", "scale"), ("o4-mini", "default")]
)
def test_a_service_tier_without_a_price_of_its_own_is_not_sold(model: str, tier: str) -> None:
    assert PriceBook().find("openai", model, NOON, tier=tier) is None


def test_every_listed_model_has_a_price_and_is_in_order() -> None:
    book = PriceBook()
    for provider in ("openai", "anthropic", "google", "sandbox"):
        listed = book.models(provider)
        assert len(listed) > 1
        assert listed == sorted(listed)
        assert [model for model in listed if book.find(provider, model, NOON, "any") is None] == []


def test_the_sandbox_has_a_price() -> None:
    assert rates(found(PriceBook(), "sandbox-chat", "sandbox")) == (10_000_000, 40_000_000)


async def test_the_operators_own_price_comes_first(db: Database) -> None:
    book = await with_own(db, ("openai", "gpt-4o-mini", 5, 1, 2))
    price = found(book, "gpt-4o-mini")
    assert (price.source, price.version, rates(price)) == ("operator", "5", (1, 2))
    assert (price.tiers[0].rates.cached_input, price.tiers[0].rates.cache_write) == (1, 1)


async def test_the_newest_of_the_operators_prices_counts(db: Database) -> None:
    book = await with_own(db, ("own", "m", 7, 70, 70), ("own", "m", 9, 90, 90), ("own", "m", 8, 80, 80))
    assert rates(found(book, "m", "own")) == (90, 90)


async def test_an_own_price_holds_for_the_id_with_a_date_too(db: Database) -> None:
    book = await with_own(db, ("own", "m", 7, 70, 70), ("openai", "gpt-4o-mini", 7, 8, 9))
    assert rates(found(book, "m-2026-01-01", "own")) == (70, 70)
    assert rates(found(book, "gpt-4o-mini-2024-07-18")) == (8, 9)
    assert book.find("own", "m-2", NOON) is None


async def test_an_own_price_holds_for_a_dated_id_that_is_listed_by_another(db: Database) -> None:
    book = await with_own(db, ("anthropic", "claude-sonnet-4", 7, 8, 9))
    assert rates(found(book, "claude-sonnet-4-20250514", "anthropic")) == (8, 9)
    assert rates(found(book, "claude-opus-4-20250514", "anthropic")) == (15_000_000, 75_000_000)


async def test_a_model_with_an_own_price_is_listed(db: Database) -> None:
    book = await with_own(db, ("own", "m", 7, 70, 70), ("openai", "mine", 7, 8, 9))
    assert book.models("own") == ["m"]
    assert "mine" in book.models("openai")


def test_the_output_a_model_gives_is_known_with_and_without_a_date() -> None:
    assert output_limit("openai", "gpt-4o-mini") == 16_384
    assert output_limit("openai", "gpt-4o-mini-2099-01-01") == 16_384
    assert output_limit("openai", "nothing") is None
    assert output_limit("nobody", "gpt-4o-mini") is None


def test_a_model_that_gives_no_tokens_has_a_price_for_calls_that_ask_for_none() -> None:
    book = PriceBook()
    assert book.find("openai", "text-embedding-3-small", NOON) is None
    price = book.find("openai", "text-embedding-3-small", NOON, "any")
    assert price is not None
    assert rates(price) == (20_000, 0)
    assert book.find("openai", "gpt-4o-mini", NOON, "any") == found(book, "gpt-4o-mini")
    assert "text-embedding-3-small" in book.models("openai")


async def test_a_price_says_since_when_it_holds_where_its_list_does(db: Database) -> None:
    book = await with_own(db, ("own", "m", NOON, 1, 1))
    today = datetime.fromtimestamp(NOON / SECOND, UTC).date()
    assert book.since("own", "m", NOON) == book.since("own", "m-2026-01-01", NOON) == today
    assert book.since("openai", "gpt-4o-mini", NOON) is None
    assert book.since("openai", "nothing", NOON) is None
    later = datetime(2026, 12, 1, tzinfo=UTC).timestamp() * SECOND
    assert book.since("openai", "gpt-5.6-sol", int(later)) is not None


def test_what_lasts_is_priced_at_the_dearest_of_a_day() -> None:
    # $0.68 a million tokens read until 19 October 2026, $1.36 from the 20th.
    book, noon = PriceBook(), int(datetime(2026, 10, 19, 12, tzinfo=UTC).timestamp()) * SECOND
    found = [book.find("mistral", "mistral-large-4", noon, lasts=lasts) for lasts in (False, True)]
    assert [price and price.tiers[0].rates.input for price in found] == [680_000, 1_360_000]
