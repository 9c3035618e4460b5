"""What there is to say once a provider is done."""

from typing import NamedTuple

from broker.core.errors import CallRefused, Unavailable
from broker.core.secret import Secret
from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.ledger.reserve import Reservation
from broker.ledger.settle import Ending
from broker.providers.client import Answer, Headers
from broker.providers.dialect import Dialect, Endpoint, Meter, model_of
from broker.providers.fault import MISSING, Fault
from broker.proxy.answer import is_media_type, passed_headers, scrub
from broker.proxy.channel import Head
from broker.proxy.left import budget_header, rate_headers

JSON, EVENTS = b"application/json", b"text/event-stream"
STREAM = EVENTS + b"; charset=utf-8"
_OF_OUR_KEY = frozenset([401, 407])
"""An app that is told so by whatever stands before the provider would take it for its own token's."""


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
    ending = by_usage(usage, "ok", answer.status, model_of(parsed))
    if key.reveal().encode() in raw or not is_media_type(answer.headers, JSON):
        return failed(ending, "provider_error")
    headers = [(b"content-type", JSON), *passed_headers(answer.headers, key)]
    return Reply(ending, Head(200, headers, raw))


def by_usage(usage: Usage | None, outcome: str, status: int, model: str = "") -> Ending:
    return Ending("estimated" if usage is None else "reported", outcome, usage, status, model=model)


def is_plain(answer: Answer) -> bool:
    return answer.header(b"content-encoding") in (b"", b"identity")


def is_stream(answer: Answer) -> bool:
    return answer.status == 200 and is_media_type(answer.headers, EVENTS)


def begun_headers(answer: Answer, kind: bytes, key: Secret, reservation: Reservation) -> Headers:
    """Of an answer that comes in pieces."""
    limits = [budget_header(reservation, None), *rate_headers(reservation)]
    return [(b"content-type", kind), *passed_headers(answer.headers, key), *limits]


def stream_ending(meter: Meter, status: int) -> Ending:
    """Of a stream whose provider is done."""
    seen = meter.seen
    outcome = "ok" if seen.is_complete else "provider_failed" if seen.failed else "broken"
    return by_usage(seen.usage, outcome, status, seen.model)


def failed(ending: Ending, code: str, error: Exception | None = None) -> Reply:
    return Reply(ending, refusal=no_answer(code, repr(error) if error else ""))


def no_answer(code: str, detail: str = "") -> CallRefused:
    words = {
        "provider_error": "The provider could not be reached, or did not give a whole answer.",
        "provider_timeout": "The provider did not answer in time.",
    }
    return CallRefused(code, words[code], detail=detail)


def garbage(dialect: Dialect, answer: Answer, parsed: JSONValue, key: Secret) -> Reply:
    """An error in a shape that is not its dialect's: whether the call ran it does not say, but its status is its own."""
    ending = Ending("estimated", "garbage", status=answer.status)
    refusal = no_answer("provider_error")
    if not 400 <= answer.status <= 599 or answer.status in _OF_OUR_KEY:
        return Reply(ending, refusal=refusal)
    headers = [(b"content-type", JSON), *passed_headers(answer.headers, key)]
    body = scrub(parsed, key) if isinstance(parsed, dict) else dialect.error(refusal, answer.status)
    return Reply(ending, Head(answer.status, headers, body))


def not_noted() -> CallRefused:
    return CallRefused("unavailable", "What the provider keeps of this call could not be written down.", retry_after=1)


def no_key() -> Reply:
    refusal = CallRefused("provider_key_unavailable", "The provider key behind this access is missing.")
    return Reply(Ending("not_run", "no_key", reached=False), refusal=refusal, fault=Fault(MISSING))


def no_vault(error: Unavailable) -> Reply:
    refusal = CallRefused("unavailable", Unavailable.description, retry_after=1, detail=error.detail)
    return Reply(Ending("not_run", "no_key", reached=False), refusal=refusal)
