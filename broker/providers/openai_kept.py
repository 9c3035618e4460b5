"""What OpenAI keeps of a response: what a request says of it, and what an answer tells of it."""

import re
from collections.abc import Callable
from typing import NamedTuple

from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.providers.body import flag_of, text_of
from broker.providers.client import Headers
from broker.providers.dialect import Body, GoesInto, Kept, Name, refuse_request
from broker.providers.openai_request import MESSAGE_TOKENS
from broker.providers.openai_search import CONTEXT, has_searched
from broker.providers.pursuit import Ended
from broker.providers.registry import Provider

KEPT_FOR = 30 * 86_400
"""Seconds: "Response objects are saved for 30 days by default", OpenAI, "Data controls", as of November 2026."""

STORED = ("store", "previous_response_id", "background", "conversation")
RESPONSE_ID = re.compile(r"resp_[A-Za-z0-9_-]{1,128}", re.ASCII)

_NOTHING: frozenset[str] = frozenset()
_FILES, _BACKGROUND = frozenset(["files"]), frozenset(["background"])

ReadKept = Callable[[JSONValue, Usage | None], tuple[Kept, ...]]


class Stored(NamedTuple):
    """What a request wants to be kept, and what it goes on from; the action for both is `files`."""

    is_asked: bool = False
    wish: str = ""
    """`files` where the app says nothing: OpenAI keeps answers then, and so it is done where that is granted."""
    follows: tuple[Name, ...] = ()
    kept: ReadKept | None = None
    goes_on: bool = False
    """Whether it is worked on after it was answered, which OpenAI does only for what it keeps."""
    is_cut: bool = False
    """Whether its context may be more than it was itself asked with."""

    @property
    def is_in_conversation(self) -> bool:
        return any(name.kind == "conversation" for name in self.follows)

    @property
    def is_chain(self) -> bool:
        return any(name.kind == "response" for name in self.follows)

    def goes_into(self, added: int) -> GoesInto:
        return GoesInto(added, lambda answer, usage: _context_after(answer, usage, is_cut=self.is_cut))

    @property
    def actions(self) -> frozenset[str]:
        if self.goes_on:
            return _BACKGROUND | (_FILES if self.follows else _NOTHING)
        return _FILES if self.is_asked or self.follows else _NOTHING


def read_stored(body: Body, provider: Provider) -> Stored:
    """Nothing is kept at another server than OpenAI's: what it would do with it is not known."""
    if provider.name != "openai":
        return Stored()
    store, previous = body.get("store"), body.get("previous_response_id")
    if store not in (None, True, False):
        raise refuse_request("store must be true or false.")
    goes_on = flag_of(body, "background")
    if goes_on and store is False:
        raise refuse_request("What goes on in the background is kept: background goes with store.")
    follows: tuple[Name, ...] = (
        () if previous is None else (Name("response", text_of(body, "previous_response_id", 200)),)
    )
    follows += _conversation(body)
    if len(follows) > 1 or (goes_on and follows and follows[0].kind == "conversation"):
        raise refuse_request("conversation goes neither with previous_response_id nor, here, with background.")
    # What was cut from a context that was too long comes back in the next.
    is_cut = body.get("truncation") not in (None, "disabled")
    if store is False:
        return Stored(follows=follows, is_cut=is_cut)
    kept = kept_response(is_cut=is_cut, goes_on=goes_on and not flag_of(body, "stream"))
    return Stored(store is True or goes_on, "" if store or goes_on else "files", follows, kept, goes_on, is_cut)


def kept_response(*, is_cut: bool, goes_on: bool = False) -> ReadKept:
    """`is_cut` is of one whose context may be more than it was itself asked with; `goes_on` of one in the background."""

    def read(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        if not isinstance(answer, dict):
            return ()
        response_id = answer.get("id")
        if not isinstance(response_id, str) or not RESPONSE_ID.fullmatch(response_id):
            return ()
        tokens = _context_after(answer, usage, is_cut=is_cut)
        return (Kept(Name("response", response_id), tokens, KEPT_FOR, work=int(goes_on and is_running(answer))),)

    return read


def _conversation(body: Body) -> tuple[Name, ...]:
    told = body.get("conversation")
    if told is None:
        return ()
    found = told.get("id") if isinstance(told, dict) and told.keys() == {"id"} else told
    if not isinstance(found, str) or not found:
        raise refuse_request("conversation must be an id, or an object with one.")
    return (Name("conversation", found),)


def _context_after(answer: JSONValue, usage: Usage | None, *, is_cut: bool) -> int | None:
    """The most that a response and all before it are as input; None where that is not told."""
    output = answer.get("output") if isinstance(answer, dict) else None
    if usage is None or not isinstance(output, list) or is_cut:
        return None
    tokens = usage.input_tokens + usage.output_tokens + MESSAGE_TOKENS * len(output)
    # Of some models what they find is billed by other figures than what is read again.
    return max(tokens, CONTEXT + usage.output_tokens) if has_searched(output) else tokens


class Pursued:
    """A response in the background after it was answered."""

    def __init__(self, usage: Callable[[JSONValue], tuple[Usage | None, bool]]) -> None:
        self.headers: Headers = []
        self._usage = usage

    def path(self, remote_id: str) -> str:
        return f"/v1/responses/{remote_id}"

    def cancel_path(self, remote_id: str) -> str:
        return f"/v1/responses/{remote_id}/cancel"

    def ended(self, answer: JSONValue, remote_id: str) -> Ended | None:
        if not isinstance(answer, dict):
            return Ended()
        if is_running(answer):
            return None
        usage, _ = self._usage(answer)
        is_cut = answer.get("truncation") not in (None, "disabled")
        return Ended(usage, made=kept_response(is_cut=is_cut)(answer, usage))

    def ran(self, line: JSONValue) -> tuple[Usage | None, bool] | None:
        return None


def is_running(response: Body) -> bool:
    return response.get("status") in ("queued", "in_progress")
