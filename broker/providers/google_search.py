"""Google's own tools that a request to Gemini may use: a search of the web, and reading addresses that it names.

"Gemini Developer API pricing" and "Grounding with Google Search", as of November 2026: to Gemini 2.5 and before, a prompt that was
grounded has one price, however many queries it took; from Gemini 3 on each query is paid for, and nothing in a request sets a most
of them. "URL context": up to 20 addresses have no price of their own, and what is read of them is input. What tools give is "provided
back to the model as input" (`toolUsePromptTokenCount`), once, so that with the prompt it is no more than the model's context.
"Code execution": prompt, code and results are input again between steps, of which there is no most.
"""

import re

from broker.core.strict_json import JSONValue
from broker.prices.book import context_limit
from broker.providers.dialect import Body
from broker.providers.registry import Provider

SEARCH_TOOLS = frozenset(["googleSearch", "googleSearchRetrieval"])
_MEMBERS: dict[str, frozenset[str]] = {
    "googleSearch": frozenset(["timeRangeFilter", "excludeDomains"]),
    "googleSearchRetrieval": frozenset(["dynamicRetrievalConfig"]),
    "urlContext": frozenset(),
}
"""Tools that have a bound, with those of their members that change none."""
_A_PROMPT = re.compile(r"gemini-2\.(?:0-flash|5-(?:pro|flash|flash-lite))(?:-\d{3})?", re.ASCII)
"""Models at which a grounded prompt has one price."""
_QUERIES = " (each query is paid for at this model, and nothing sets a most of them)"
_STEPS = " (what is read again between its steps is paid for, and nothing sets a most of it)"


def why(name: str, model: str) -> str:
    """What is to be said of a tool besides that it has no bound; empty where there is nothing to say."""
    if name == "codeExecution":
        return _STEPS
    return _QUERIES if name in SEARCH_TOOLS and not _A_PROMPT.fullmatch(model) else ""


def bounded(name: str, tool: JSONValue, model: str, provider: Provider) -> bool:
    """Whether it is known what this tool can cost at most."""
    known = _MEMBERS.get(name)
    if known is None or provider.name != "google" or not isinstance(tool, dict) or not tool.keys() <= known:
        return False
    if name in SEARCH_TOOLS and not _A_PROMPT.fullmatch(model):
        return False
    return context_limit("google", model) is not None


def read_at_most(model: str) -> int:
    """The most input of a request that may use one of them."""
    return context_limit("google", model) or 0


def is_grounded(answer: JSONValue) -> bool:
    """Whether a search is paid for: it is told by the queries, or by what they found."""
    candidates = answer.get("candidates") if isinstance(answer, dict) else None
    return isinstance(candidates, list) and any(isinstance(each, dict) and _is_grounded(each) for each in candidates)


def _is_grounded(candidate: Body) -> bool:
    told = candidate.get("groundingMetadata")
    if not isinstance(told, dict):
        return told is not None
    if told.get("webSearchQueries") or told.get("imageSearchQueries") or told.get("searchEntryPoint"):
        return True
    # Of addresses that were read it is told in the same place.
    return bool(told.get("groundingChunks")) and not candidate.get("urlContextMetadata")
