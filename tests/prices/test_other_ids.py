"""Ids that providers publish beside those by which the packaged list has their models: each with its price and its bounds."""

import pytest

from broker.core.usage import Rates
from broker.prices import packaged, supplement
from broker.prices.book import PriceBook, context_limit, output_limit
from tests.turned_clock import NOON

M = 1_000_000

PUBLISHED = {
    ("anthropic", "claude-3-opus-20240229"): (15, 75, 4_096),
    ("anthropic", "claude-3-opus-latest"): (15, 75, 4_096),
    ("anthropic", "claude-3-5-haiku-20241022"): (0.8, 4, 8_192),
    ("anthropic", "claude-3-5-haiku-latest"): (0.8, 4, 8_192),
    ("anthropic", "claude-3-5-sonnet-20241022"): (3, 15, 8_192),
    ("anthropic", "claude-3-5-sonnet-latest"): (3, 15, 8_192),
    ("anthropic", "claude-3-7-sonnet-20250219"): (3, 15, 64_000),
    ("anthropic", "claude-3-7-sonnet-latest"): (3, 15, 64_000),
    ("anthropic", "claude-opus-4-20250514"): (15, 75, 32_000),
    ("anthropic", "claude-opus-4-1-20250805"): (15, 75, 32_000),
    ("anthropic", "claude-sonnet-4-20250514"): (3, 15, 64_000),
    ("anthropic", "claude-sonnet-4-0"): (3, 15, 64_000),
    ("openai", "gpt-3.5-turbo-0125"): (0.5, 1.5, 4_096),
    ("openai", "gpt-3.5-turbo-1106"): (1, 2, 4_096),
    ("openai", "gpt-3.5-turbo-instruct-0914"): (1.5, 2, 4_096),
    ("openai", "gpt-4-0314"): (30, 60, 8_192),
    ("openai", "gpt-4-0613"): (30, 60, 8_192),
    ("openai", "gpt-4-0125-preview"): (10, 30, 4_096),
    ("openai", "gpt-4-1106-preview"): (10, 30, 4_096),
    ("openai", "gpt-4-turbo-preview"): (10, 30, 4_096),
    ("openai", "gpt-4-turbo-2024-04-09"): (10, 30, 4_096),
    ("openai", "gpt-5-chat-latest"): (1.25, 10, 16_384),
    ("openai", "gpt-5-codex"): (1.25, 10, 128_000),
    ("openai", "gpt-5.1-chat-latest"): (1.25, 10, 16_384),
    ("openai", "gpt-5.1-codex"): (1.25, 10, 128_000),
    ("openai", "gpt-5.1-codex-max"): (1.25, 10, 128_000),
    ("openai", "gpt-5.2-chat-latest"): (1.75, 14, 16_384),
    ("openai", "gpt-5.2-codex"): (1.75, 14, 128_000),
    ("google", "gemini-2.0-flash-001"): (0.1, 0.4, 8_192),
    ("google", "gemini-2.0-flash-lite-001"): (0.075, 0.3, 8_192),
    ("mistral", "mistral-large-2411"): (2, 6, 16_384),
    ("mistral", "mistral-medium-2505"): (0.4, 2, 131_072),
    ("mistral", "mistral-medium-2508"): (0.4, 2, 262_144),
    ("mistral", "mistral-small-2506"): (0.1, 0.3, 16_384),
    ("mistral", "devstral-small-2507"): (0.1, 0.3, 128_000),
}
"""Dollars a million tokens that go in and come out, and the most that come out, as the providers published them."""


def rates(provider: str, model: str) -> Rates:
    price = PriceBook().find(provider, model, NOON)
    assert price is not None
    return price.tiers[0].rates


@pytest.mark.parametrize(("named", "published"), PUBLISHED.items(), ids=[model for _, model in PUBLISHED])
def test_an_id_has_the_price_and_the_maximum_that_its_provider_publishes(
    named: tuple[str, str], published: tuple[float, float, int]
) -> None:
    found = rates(*named)
    assert (found.input, found.output, output_limit(*named)) == (
        round(published[0] * M),
        round(published[1] * M),
        published[2],
    )
    assert (context_limit(*named) or 0) >= published[2]


def test_whatever_another_id_is_priced_as_is_listed() -> None:
    """A list that has dropped one leaves calls to the other without a price; then it needs one of its own."""
    lost = [
        same
        for provider, others in supplement.OTHER_IDS.items()
        for same in others.values()
        if same not in packaged.models(provider, "any")
    ]
    assert lost == []


def test_other_ids_are_listed_with_the_prices() -> None:
    listed = {provider: PriceBook().models(provider) for provider in supplement.OTHER_IDS}
    assert [
        model for provider, others in supplement.OTHER_IDS.items() for model in others if model not in listed[provider]
    ] == []


def test_what_is_cached_and_searched_costs_the_same_by_the_other_id() -> None:
    assert rates("anthropic", "claude-opus-4-20250514") == rates("anthropic", "claude-opus-4-0")
    assert rates("google", "gemini-2.0-flash-001") == rates("google", "gemini-2.0-flash")
    assert rates("openai", "gpt-5-codex").plain == rates("openai", "gpt-5").plain


@pytest.mark.parametrize("model", ["claude-sonnet-4-0", "claude-sonnet-4-20250514"])
def test_a_long_input_of_sonnet_4_costs_twice_as_much(model: str) -> None:
    """Above 200,000 tokens, which the beta context-1m lets in: $6 and $22.50."""
    price = PriceBook().find("anthropic", model, NOON)
    assert price is not None
    assert [(tier.start, tier.rates.input, tier.rates.output) for tier in price.tiers] == [
        (-1, 3_000_000, 15_000_000),
        (200_000, 6_000_000, 22_500_000),
    ]


def test_batches_cost_half_by_the_other_id() -> None:
    batch = PriceBook().find_batch("openai", "gpt-4-0613", NOON)
    assert batch is not None
    assert batch.is_batch
    assert (batch.tiers[0].rates.input, batch.tiers[0].rates.output) == (15_000_000, 30_000_000)


def test_an_embedding_is_found_by_its_other_id() -> None:
    price = PriceBook().find("mistral", "mistral-embed-2312", NOON, "input")
    assert price is not None
    assert price == PriceBook().find("mistral", "mistral-embed", NOON, "input")


@pytest.mark.parametrize(
    ("provider", "model"),
    [("google", "gemini-flash-latest"), ("google", "text-embedding-004"), ("mistral", "mistral-large-latest")],
)
def test_what_has_no_one_price_has_none(provider: str, model: str) -> None:
    assert PriceBook().find(provider, model, NOON, "any") is None
