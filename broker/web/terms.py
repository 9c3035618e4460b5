"""What an access may do, as the lines of a list of terms."""

from dataclasses import dataclass

from broker.prices.book import PriceBook
from broker.web.calls import rate_words
from broker.web.foreign import clean
from broker.web.lent import Part
from broker.web.words import count, instant, listed, money

ACTIONS = {
    "chat": "chat",
    "completions": "text completion",
    "embeddings": "embeddings",
    "images": "images",
    "audio": "audio",
    "moderations": "moderation",
    "rerank": "reranking",
    "tools": "the provider's own tools",
    "vision": "pictures as input",
    "web_search": "web search",
    "code_execution": "running code",
    "files": "files",
    "batches": "batches",
    "background": "background work",
    "realtime": "live conversation",
}

_PER = {"grant": " in total", "day": " a day", "week": " a week", "month": " a month"}


@dataclass(frozen=True, slots=True)
class Model:
    """A model or a pattern of models, and its price; empty where no single price can be said."""

    name: str
    price: str
    is_unknown: bool
    """No price is known here, so that every call to it is refused."""


@dataclass(frozen=True, slots=True)
class Terms:
    models: list[Model]
    rows: list[tuple[str, str]]


def terms(part: Part, prices: PriceBook, now: int, zone: str) -> Terms:
    access = part.access
    limits = [
        ("Requests in total", access.max_requests),
        ("Requests a minute", access.requests_per_minute),
        ("Tokens a minute", access.tokens_per_minute),
        ("Requests at once", access.concurrent),
        ("Most output tokens a request", access.max_output_tokens),
    ]
    return Terms(
        models=[_model(name, access.provider, part.provider, prices, now) for name in part.element.models],
        rows=[
            ("Capabilities", listed([ACTIONS.get(action, clean(action)) for action in part.element.actions])),
            ("Spending limit", money(access.budget, "limit") + _PER[access.budget_per]),
            *((name, "No limit" if value is None else count(value)) for name, value in limits),
            ("Ends", instant(access.ends_at, zone)),
        ],
    )


def model_words(pattern: str, provider_label: str) -> str:
    """gpt-4.1-mini; any OpenAI model; any model whose name begins with gpt-4.1."""
    if pattern == "*":
        return f"any {provider_label} model, including new ones"
    if pattern.endswith("*"):
        return f"any model whose name begins with {clean(pattern[:-1])}"
    return clean(pattern)


def _model(pattern: str, provider: str, provider_label: str, prices: PriceBook, now: int) -> Model:
    name = model_words(pattern, provider_label)
    if pattern.endswith("*"):
        return Model(name, "", is_unknown=False)
    price = prices.find(provider, pattern, now, "any")
    return Model(name, rate_words(price) if price else "", is_unknown=price is None)
