"""Conversations that OpenAI keeps: what is put into one, and what it comes to as input of the response that goes on in it.

"Conversation state", as of November 2026: what is in a conversation is kept until it is deleted, and what a response reads and
writes is added to it when it has ended. Each response reads all of it; that it is kept has no price.
"""

import re
from collections.abc import Callable

from broker.core.strict_json import JSONValue
from broker.core.usage import NO_USAGE, Usage
from broker.providers.body import not_bounded, objects_of, rendered, shown
from broker.providers.dialect import Body, Endpoint, GoesInto, Kept, Meter, Name, Reading, refuse_request
from broker.providers.kept_requests import About, NoMeter, asking
from broker.providers.openai_request import MESSAGE_TOKENS
from broker.providers.openai_responses import needs_of_items
from broker.providers.registry import Provider

CONVERSATIONS = "/v1/conversations"
CONVERSATION_ID = re.compile(r"conv_[A-Za-z0-9_-]{1,128}", re.ASCII)
_ITEM = r"/items/[A-Za-z0-9_-]{1,128}"
_PATH = re.compile(rf"{CONVERSATIONS}/({CONVERSATION_ID.pattern})(/items|{_ITEM})?", re.ASCII)
_ONE = f"{CONVERSATIONS}/{{conversation_id}}"
PATHS = (CONVERSATIONS, _ONE, f"{_ONE}/items", f"{_ONE}/items/{{item_id}}")


class MakeConversation:
    """POST /v1/conversations."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return _sent(body, provider, path, "items", "metadata")._replace(kept=_kept(_bound(body)))

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return NO_USAGE, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


class ChangeConversation(MakeConversation):
    """POST /v1/conversations/{id}: only what the app calls it by."""

    def __init__(self, conversation_id: str) -> None:
        self._name = Name("conversation", conversation_id)

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return _sent(body, provider, path, "metadata")._replace(names=(self._name,))


class AddItems(ChangeConversation):
    """POST /v1/conversations/{id}/items."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        if not objects_of(body, "items"):
            raise refuse_request("items must be an array of objects.")
        return _sent(body, provider, path, "items")._replace(names=(self._name,), goes_into=GoesInto(_bound(body)))


def endpoint(method: str, path: str) -> Endpoint | None:
    if method not in methods(path):
        return None
    match = _PATH.fullmatch(path)
    if match is None:
        return MakeConversation()
    if method == "POST":
        return AddItems(match[1]) if match[2] else ChangeConversation(match[1])
    reading = asking(method, "files", Name("conversation", match[1]))
    # An item that is deleted leaves the conversation, and with it its name, as they are.
    return About(reading._replace(deletes=reading.deletes and not match[2]), "openai")


def methods(path: str) -> tuple[str, ...]:
    if path == CONVERSATIONS:
        return ("POST",)
    match = _PATH.fullmatch(path)
    if match is None:
        return ()
    if not match[2]:
        return ("GET", "POST", "DELETE")
    return ("GET", "POST") if match[2] == "/items" else ("GET", "DELETE")


def _sent(body: Body, provider: Provider, path: str, *known: str) -> Reading:
    needs = [shown(name) for name in body.keys() - set(known)]
    needs += [name for name, _ in needs_of_items(objects_of(body, "items"), provider)]
    if provider.name != "openai":
        needs.append("conversations at this provider")
    sent = rendered(body)
    reading = asking("POST", "files")._replace(render=lambda _: sent, target=path)
    return reading._replace(unbounded=not_bounded(needs))


def _bound(body: Body) -> int:
    """The most tokens that these items are: as many as they have bytes, and what stands around each."""
    items = objects_of(body, "items")
    return len(rendered({"items": body.get("items")})) + MESSAGE_TOKENS * len(items) if items else 0


def _kept(tokens: int) -> Callable[[JSONValue, Usage | None], tuple[Kept, ...]]:
    def read(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        made = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(made, str) or not CONVERSATION_ID.fullmatch(made):
            return ()
        return (Kept(Name("conversation", made), tokens),)

    return read
