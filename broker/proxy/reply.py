"""What there is to say once a provider is done."""

from typing import NamedTuple

from broker.core.errors import CallRefused, Unavailable
from broker.core.secret import Secret
from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.ledger.settle import Ending
from broker.providers.client import Answer
from broker.providers.dialect import Endpoint
from broker.providers.fault import MISSING, Fault
from broker.proxy.answer import is_media_type, passed_headers
from broker.proxy.channel import Head


class Reply(NamedTuple):
    """How it ended, and the answer unless it streamed."""

    ending: Ending
    head: Head | None = None
    refusal: CallRefused | None = None
    fault: Fault | None = None
    """Why another key may do better, if it may; then nothing has run and the app was told nothing."""
    goes_on: bool = False
    """Whether the provider works on after its answer: the hold is settled when that has ended."""


def read_whole(endpoint: Endpoint, answer: Answer, raw: bytes, parsed: JSONValue, key: Secret) -> Reply:
    """Of a whole answer with status 200: what it cost, and what of it passes."""
    usage, _ = endpoint.usage(parsed)
    ending = by_usage(usage, "ok", answer.status)
    if key.reveal().encode() in raw or not is_media_type(answer.headers, b"application/json"):
        return failed(ending, "provider_error")
    headers = [(b"content-type", b"application/json"), *passed_headers(answer.headers, key)]
    return Reply(ending, Head(200, headers, raw))


def by_usage(usage: Usage | None, outcome: str, status: int) -> Ending:
    return Ending("estimated" if usage is None else "reported", outcome, usage, status)


def failed(ending: Ending, code: str, error: Exception | None = None) -> Reply:
    words = {
        "provider_error": "The provider could not be reached, or did not give a whole answer.",
        "provider_timeout": "The provider did not answer in time.",
    }
    return Reply(ending, refusal=CallRefused(code, words[code], detail=repr(error) if error else ""))


def not_noted() -> CallRefused:
    return CallRefused("unavailable", "What the provider keeps of this call could not be written down.", retry_after=1)


def no_key() -> Reply:
    refusal = CallRefused("provider_key_unavailable", "The provider key behind this access is missing.")
    return Reply(Ending("not_run", "no_key", reached=False), refusal=refusal, fault=Fault(MISSING))


def no_vault(error: Unavailable) -> Reply:
    refusal = CallRefused("unavailable", Unavailable.description, retry_after=1, detail=error.detail)
    return Reply(Ending("not_run", "no_key", reached=False), refusal=refusal)
