"""What OpenAI keeps of a response: what a request says of it, and what an answer tells of it."""

import re
from collections.abc import Callable
from typing import NamedTuple

from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.providers.body import text_of
from broker.providers.dialect import Body, Kept, Name, refuse_request
from broker.providers.openai_request import MESSAGE_TOKENS
from broker.providers.registry import Provider

KEPT_FOR = 30 * 86_400
"""Seconds: "Response objects are saved for 30 days by default", OpenAI, "Data controls", as of November 2026."""

STORED = ("store", "previous_response_id")
RESPONSE_ID = re.compile(r"resp_[A-Za-z0-9_-]{1,128}", re.ASCII)

_NOTHING: frozenset[str] = frozenset()
_FILES = frozenset(["files"])

ReadKept = Callable[[JSONValue, Usage | None], Kept | None]


class Stored(NamedTuple):
    """What a request wants to be kept, and what it goes on from; the action for both is `files`."""

    is_asked: bool = False
    wish: str = ""
    """`files` where the app says nothing: OpenAI keeps answers then, and so it is done where that is granted."""
    follows: tuple[Name, ...] = ()
    kept: ReadKept | None = None

    @property
    def actions(self) -> frozenset[str]:
        return _FILES if self.is_asked or self.follows else _NOTHING


def read_stored(body: Body, provider: Provider) -> Stored:
    """Nothing is kept at another server than OpenAI's: what it would do with it is not known."""
    if provider.name != "openai":
        return Stored()
    store, previous = body.get("store"), body.get("previous_response_id")
    if store not in (None, True, False):
        raise refuse_request("store must be true or false.")
    follows = () if previous is None else (Name("response", text_of(body, "previous_response_id", 200)),)
    if store is False:
        return Stored(follows=follows)
    # What was cut from a context that was too long comes back in the next.
    kept = kept_response(is_cut=body.get("truncation") not in (None, "disabled"))
    return Stored(store is True, "" if store else "files", follows, kept)


def kept_response(*, is_cut: bool) -> ReadKept:
    """`is_cut` is of one whose context may be more than it was itself asked with."""

    def read(answer: JSONValue, usage: Usage | None) -> Kept | None:
        if not isinstance(answer, dict):
            return None
        response_id, output = answer.get("id"), answer.get("output")
        if not isinstance(response_id, str) or not RESPONSE_ID.fullmatch(response_id):
            return None
        tokens = None
        if usage is not None and isinstance(output, list) and not is_cut:
            tokens = usage.input_tokens + usage.output_tokens + MESSAGE_TOKENS * len(output)
        return Kept(Name("response", response_id), tokens, KEPT_FOR)

    return read
