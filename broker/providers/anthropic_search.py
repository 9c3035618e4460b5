"""Anthropic's own search of the web: how often it can happen, and how much of what it finds can be read.

"Web search tool" and "Server tools", as of November 2026: a search has a price of its own, and what it finds counts as input of
each turn of the model that follows. A request has at most ten such turns, and no turn reads more than the model's context.
"""

from broker.core.strict_json import JSONValue
from broker.prices.book import context_limit
from broker.providers.dialect import Body

TURNS = 10
MOST_USES = 100
TOOL = "web_search_20250305"
_MEMBERS = frozenset(
    ["type", "name", "max_uses", "allowed_domains", "blocked_domains", "user_location", "cache_control"]
)
BLOCKS = {
    "server_tool_use": frozenset(["id", "name", "input", "caller"]),
    "web_search_tool_result": frozenset(["tool_use_id", "content", "caller"]),
}
"""What an earlier search left in a conversation: its bytes bound its tokens."""


def uses_of(tool: Body) -> int | None:
    """How often this tool may search; None where it is another, or says no number."""
    uses = tool.get("max_uses")
    if tool.get("type") != TOOL or not tool.keys() <= _MEMBERS or isinstance(uses, bool) or not isinstance(uses, int):
        return None
    return uses if 0 < uses <= MOST_USES else None


def is_of_search(block: Body) -> bool:
    return block.get("type") in BLOCKS and block.get("name", "web_search") == "web_search"


def needs_search(body: Body) -> bool:
    tools, messages = body.get("tools"), body.get("messages")
    if any(isinstance(tool, dict) and tool.get("type") == TOOL for tool in _list(tools)):
        return True
    contents = [message.get("content") for message in _list(messages) if isinstance(message, dict)]
    return any(isinstance(block, dict) and is_of_search(block) for content in contents for block in _list(content))


def read_at_most(provider: str, model: str) -> int | None:
    """The most input of all turns together; None where the model's context is not known."""
    context = context_limit(provider, model)
    return None if context is None else context * TURNS


def _list(value: JSONValue) -> list[JSONValue]:
    return value if isinstance(value, list) else []
