"""OpenAI's own search of the web in a response: how often it can happen, and how much of what it finds can be read.

"Web search", "Pricing" and the reference of responses, as of November 2026: a search has a price of its own, opening a page or
looking into one has none, and what is found is input of the model. While it searches its context is 128,000 tokens, whatever its
own is. `max_tool_calls` is the most calls of OpenAI's tools in a response, whatever they do; a further one is ignored. So the
model reads once before each call, once after the last, and once after one that is ignored.
"""

import re
from typing import NamedTuple

from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.prices.book import context_limit
from broker.providers.body import objects_of, text_of
from broker.providers.dialect import Body, Reading
from broker.providers.registry import Provider

CONTEXT = 128_000
USUAL_CALLS, MOST_CALLS = 5, 100
"""Calls where the app says no number, and the most that it may say."""
TURNS_BESIDE = 2

CALL = "web_search_call"
CALL_MEMBERS = frozenset(["id", "status", "action"])
INCLUDED = "web_search_call.action.sources"
_TOOLS = frozenset(["web_search", "web_search_2025_08_26"])
_MEMBERS = frozenset(["type", "search_context_size", "user_location", "filters", "external_web_access"])
_PREVIEWS = frozenset(["web_search_preview", "web_search_preview_2025_03_11"])
_PREVIEW_MEMBERS = frozenset(["type", "search_context_size", "user_location"])
_REASONING = re.compile(
    r"(?:o[34]|gpt-[56](?:\.\d+)?)(?:-(?:mini|nano|pro|astra|luna|sol|terra))?(?:-\d{4}-\d{2}-\d{2})?", re.ASCII
)
"""Of which a search costs the same by its earlier version; of others that has a price of its own, and what it finds none."""
_FREE = ("open_page", "find_in_page")


class Searching(NamedTuple):
    """What a request has of searches."""

    asks: bool = False
    """Whether it may search."""
    remembers: bool = False
    """Whether an earlier search is part of it, of which what was found may be read again."""
    is_hidden: bool = False
    """Whether there is a search among tools that are themselves in one, where nothing is said of its number."""
    calls: int = 0
    context: int | None = CONTEXT
    """The most input of any turn; None where that is not known."""

    def __bool__(self) -> bool:
        return self.asks or self.remembers or self.is_hidden

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(["web_search"]) if self else frozenset()

    @property
    def most(self) -> Extras:
        return Extras(searches=self.calls) if self.calls else NO_EXTRAS

    @property
    def sent(self) -> Body:
        return {"max_tool_calls": self.calls} if self.asks else {}

    @property
    def most_found(self) -> int:
        """What may be left of it in a conversation."""
        return self.context or 0 if self.asks else 0

    def bound(self, own: int) -> int:
        """The input of all turns; `own` is that of the request without what is found."""
        if not self:
            return own
        return (self.context or 0) * (self.calls + TURNS_BESIDE if self.asks else 1)

    def unbounded(self) -> list[tuple[str, str]]:
        """(what, the action it needs) where it has no bound."""
        found = [("max_tool_calls", "web_search")] if self.calls > MOST_CALLS else []
        return [*found, ("tools.web_search", "web_search")] if self.is_hidden or self.context is None else found


NONE = Searching()


def read_searching(body: Body, items: list[Body], tools: list[Body], provider: Provider, own: int) -> Searching:
    """`own` is the bound of the input without what is found."""
    model = text_of(body, "model", 200)
    ways = (objects_of(body, "tools"), tools)
    asks, all_of_it = (sum(is_search(tool, provider, model) for tool in each) for each in ways)
    remembers = any(item.get("type") == CALL for item in items) and provider.name == "openai"
    if not all_of_it and not remembers:
        return NONE
    context = context_limit(provider.name, model)
    if asks and own <= CONTEXT:
        context = min(CONTEXT, context or CONTEXT)
    return Searching(asks > 0, remembers, all_of_it > asks, _calls(body) if asks else 0, context)


def going_on(reading: Reading, before: int, provider: str) -> Reading | None:
    """A request that goes on from so much that the provider keeps, which is input of each turn; None where it has no bound."""
    if reading.at_once is None:
        return reading._replace(input_bound=reading.input_bound + before)
    if reading.at_first + before <= CONTEXT:
        return reading
    context = context_limit(provider, reading.model)
    if context is None:
        return None
    turns = reading.input_bound // reading.at_once
    return reading._replace(input_bound=turns * context, at_once=context)


def is_search(tool: Body, provider: Provider, model: str) -> bool:
    """Whether it is a search that has a bound."""
    kind = tool.get("type")
    if provider.name != "openai" or not isinstance(kind, str):
        return False
    if kind in _PREVIEWS:
        return tool.keys() <= _PREVIEW_MEMBERS and _REASONING.fullmatch(model) is not None
    return kind in _TOOLS and tool.keys() <= _MEMBERS


def searched(answer: JSONValue, usage: Usage | None) -> Usage | None:
    """The usage of a response with its searches; None where it does not say what it did."""
    output = answer.get("output") if isinstance(answer, dict) else None
    if usage is None or not isinstance(output, list):
        return None
    count = sum(1 for item in output if _is_billed(item))
    return usage._replace(extras=Extras(searches=count)) if count else usage


def has_searched(output: list[JSONValue]) -> bool:
    return any(isinstance(item, dict) and item.get("type") == CALL for item in output)


def _is_billed(item: JSONValue) -> bool:
    if not isinstance(item, dict) or item.get("type") != CALL:
        return False
    action = item.get("action")
    return not (isinstance(action, dict) and action.get("type") in _FREE)


def _calls(body: Body) -> int:
    asked = body.get("max_tool_calls")
    if asked is None:
        return USUAL_CALLS
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 0:
        return MOST_CALLS + 1
    return int(asked)
