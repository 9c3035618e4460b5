"""What the packaged lists do not have: the sandbox, Cohere's models by the ids that its API takes, and OpenAI's that hear and speak.

Cohere's prices are those that it published in November 2026. A search is a query with up to a hundred documents. OpenAI's: the
pages of gpt-audio, gpt-audio-1.5 and gpt-audio-mini, November 2026; and "Web search (all models): $10.00 / 1k calls" of its page of
prices, for the models of which the packaged list says nothing.
"""

from dataclasses import replace
from datetime import date

from broker.core.extras import ExtraRates
from broker.core.usage import Price, Rates, Tier
from broker.prices.packaged import Kind

SANDBOX = "sandbox"
DAY = date(2026, 11, 30)
"""When this list was looked over."""


def _chat(rate_in: int, rate_out: int) -> Rates:
    return Rates.of(rate_in, rate_out)


def _sound(rate_in: int, rate_out: int, sound_in: int, sound_out: int) -> Rates:
    return Rates.of(rate_in, rate_out, extras=ExtraRates(input_audio=sound_in, output_audio=sound_out))


def _search(a_thousand: int) -> Rates:
    return Rates.of(0, 0, extras=ExtraRates(searches=a_thousand * 1_000))


_CHATS: dict[str, dict[str, Rates]] = {
    SANDBOX: {"sandbox-chat": _chat(10_000_000, 40_000_000), "sandbox-chat-large": _chat(30_000_000, 120_000_000)},
    "cohere": {
        "command-a-03-2025": _chat(2_500_000, 10_000_000),
        "command-r-plus-08-2024": _chat(2_500_000, 10_000_000),
        "command-r-08-2024": _chat(150_000, 600_000),
        "command-r7b-12-2024": _chat(37_500, 150_000),
    },
    "openai": {"gpt-audio-1.5": _sound(2_500_000, 10_000_000, 32_000_000, 64_000_000)},
}
_CONTEXTS = {"openai": dict.fromkeys(("gpt-audio", "gpt-audio-1.5", "gpt-audio-mini"), 128_000)}
_LIMITS = {"openai": dict.fromkeys(_CONTEXTS["openai"], 16_384)}
_SEARCHES = {
    "cohere": {
        "rerank-english-v3.0": _search(2_000_000),
        "rerank-multilingual-v3.0": _search(2_000_000),
        "rerank-v3.5": _search(2_000_000),
        "rerank-v4.0-fast": _search(2_000_000),
        "rerank-v4.0-pro": _search(2_500_000),
    }
}


def models(provider: str, kind: Kind) -> set[str]:
    """The exact ids that have a price of that kind here."""
    chats, searches = _CHATS.get(provider, {}), _SEARCHES.get(provider, {})
    return {"output": set(chats), "input": set(chats), "units": set(searches)}.get(kind, {*chats, *searches})


def since(provider: str, model: str) -> date | None:
    return DAY if provider != SANDBOX and model in models(provider, "any") else None


def price(provider: str, model: str) -> Price | None:
    rates = _CHATS.get(provider, {}).get(model) or _SEARCHES.get(provider, {}).get(model)
    version = SANDBOX if provider == SANDBOX else DAY.isoformat()
    return None if rates is None else Price("broker", version, (Tier(-1, rates),))


def output_limit(provider: str, model: str) -> int | None:
    return _LIMITS.get(provider, {}).get(model)


def context_limit(provider: str, model: str) -> int | None:
    return _CONTEXTS.get(provider, {}).get(model)


_A_SEARCH = {"openai": 10_000_000_000}
"""Micro-dollars a million, of every model."""


def with_searches(provider: str, found: Price) -> Price:
    """With what a search costs, where a provider has one price of it for all its models; nobody's own price is made up for."""
    rate = None if found.source == "operator" else _A_SEARCH.get(provider)
    if rate is None:
        return found
    return replace(found, tiers=tuple(_searching(tier, rate) for tier in found.tiers))


def _searching(tier: Tier, rate: int) -> Tier:
    if tier.rates.extras.searches is not None:
        return tier
    return Tier(tier.start, replace(tier.rates, extras=tier.rates.extras._replace(searches=rate)))
