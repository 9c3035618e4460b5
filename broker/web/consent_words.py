"""What the consent page calls things, and what it says of a choice that cannot be granted."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from broker.core.access import Budget
from broker.core.clock import from_seconds
from broker.oauth.consent_terms import CountField, Offer, Problem, TermsField
from broker.settings import is_loopback
from broker.web.foreign import clean
from broker.web.words import count, duration, instant, listed, money

MOST_ADDRESS = 500

LABELS: dict[CountField, str] = {
    "requests": "Requests in total",
    "rpm": "Requests a minute",
    "tpm": "Tokens a minute",
    "concurrent": "Requests at once",
    "output": "Most output tokens a request",
}

CAPABILITIES = {
    "chat": "Chat — send prompts and get text back",
    "completions": "Text completion — have a text continued, the older way",
    "embeddings": "Embeddings — turn text into numbers, for search",
    "images": "Images — create pictures, usually the most expensive",
    "audio": "Audio — turn speech into text and text into speech, also in a chat",
    "moderations": "Moderation — have text checked for harmful content",
    "rerank": "Reranking — sort search results",
    "tools": "The provider’s own tools — let the model use them",
    "vision": "Pictures as input — send pictures with prompts",
    "web_search": "Web search — let the model search the web and read pages, at extra cost",
    "code_execution": "Running code — let the model run code at the provider",
    "files": "Files — send documents, keep files and answers at the provider and use them",
    "batches": "Batches — send many requests to be answered later",
    "background": "Background work — requests that go on after the answer",
    "realtime": "Live conversation — speak and listen at once",
}

_WHOLE = {
    "requests": ("requests", "Requests", "500"),
    "rpm": ("requests", "Requests", "500"),
    "tpm": ("tokens", "Tokens", "10000"),
    "concurrent": ("requests at once", "Requests at once", "2"),
    "output": ("tokens", "Tokens", "1000"),
}
_PER = {"grant": "in total", "day": "a day", "week": "a week", "month": "a month"}
_RESETS = {"day": "daily", "week": "on Mondays", "month": "on the first of the month"}


def per(budget: Budget) -> str:
    """$5.00 in total, $5.00 a day."""
    return f"{money(budget.amount, 'limit')} {_PER[budget.per]}"


def reset_words(kind: str) -> str:
    """Empty for a budget that never renews."""
    return f"resetting {_RESETS[kind]} at 00:00 UTC" if kind in _RESETS else ""


def lasting(seconds: int) -> str:
    return duration(from_seconds(seconds))


def keys_of(labels: Sequence[str]) -> str:
    """OpenAI key; OpenAI and Anthropic keys."""
    return f"{listed(list(labels))} {'key' if len(labels) == 1 else 'keys'}"


def way_back(redirect_uri: str) -> tuple[str, str]:
    """What stands before the address that the answer goes to, and the address."""
    url, shown = urlsplit(redirect_uri), clean(redirect_uri, MOST_ADDRESS)
    if url.scheme == "http" and is_loopback(url.hostname or ""):
        return "an app on this computer", shown
    return ("", shown) if url.scheme == "https" else ("an app on this device", shown)


def problem_words(problem: Problem, offer: Offer, app: str, zone: str) -> str:
    match problem.field:
        case "key":
            return "Choose which key to use"
        case "also":
            return "Choose from your keys that are shown here: another one was removed"
        case "budget":
            return _budget(problem, offer, app)
        case "ends":
            return _ends(problem, app, zone)
        case "model" | "action":
            one, many = ("model", "models") if problem.field == "model" else ("capability", "capabilities")
            if problem.cause == "not_offered":
                return f"Choose from the {many} {app} asked for"
            return f"Choose at least one {one}, or deny the request"
        case _:
            return _count(problem, problem.field, offer, app)


def _budget(problem: Problem, offer: Offer, app: str) -> str:
    match problem.cause:
        case "blank":
            return "Enter a spending limit"
        case "too_small":
            return "Spending limit must be $0.01 or more. To allow nothing, deny the request"
        case "above_asked" | "above_cap":
            most = f"Spending limit must be {money(problem.bound, 'left')} or less"
            if problem.cause == "above_cap":
                return f"{most}, the most you can give here"
            if offer.adds:
                return f"{most}, the most that {app} asked for"
            if offer.spent:
                return f"{most}: the amount {app} asked for, and the {money(offer.spent)} it has spent"
            return f"{most}, the amount {app} asked for"
        case _:
            return "Enter the spending limit as an amount, like 5 or 5.50"


def _ends(problem: Problem, app: str, zone: str) -> str:
    latest = instant(from_seconds(problem.bound), zone)
    match problem.cause:
        case "past":
            return "Choose a later time: this one has passed"
        case "above_asked":
            return f"Choose a time before {latest}, the end {app} asked for"
        case "above_cap":
            return f"Choose a time before {latest}, the latest end you can give here"
        case _:
            return "Choose when this ends"


def _count(problem: Problem, name: TermsField, offer: Offer, app: str) -> str:
    noun, first, example = _WHOLE[name]
    match problem.cause:
        case "too_small":
            return f"{first} must be 1 or more. To allow nothing, deny the request"
        case "above_asked":
            used = 0 if offer.present is None else offer.present.requests_used
            if name == "requests" and used:
                return f"Requests must be {count(problem.bound)} or less: the number {app} asked for, and the {count(used)} it has made"
            return f"{first} must be {count(problem.bound)} or less, the number {app} asked for"
        case _:
            return f"Enter {noun} as a whole number, like {example}"
