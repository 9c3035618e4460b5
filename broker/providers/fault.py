"""What a provider's refusal says of the key it was asked with: whether another may do better, and when this one may again."""

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from broker.core.clock import DAY, MINUTE, SECOND
from broker.core.strict_json import JSONValue
from broker.providers.client import Headers

SHORTEST, LONGEST = SECOND, DAY
"""No key rests for less, whatever its provider says, and none for more without being tried again."""

USUAL = {"rate_limited": MINUTE, "refused": 10 * MINUTE, "no_credit": 60 * MINUTE}
"""How long a key rests where the provider does not say."""

UNWELL = "unwell"
"""Not the key's fault, but the call did not run: another may have better luck."""
MISSING = "missing"
"""The key is not there: the environment does not hold it now."""

_STATUS = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "RESOURCE_EXHAUSTED": 429,
    "overloaded_error": 529,
}
"""Of errors inside a stream, whose status says nothing: what a whole answer with them has."""

_CAUSES = {
    401: "refused",
    402: "no_credit",
    # Said of a text or of a model, too, which an app chooses: a key that rested for it would rest for all apps.
    403: UNWELL,
    429: "rate_limited",
    500: UNWELL,
    503: UNWELL,
    529: UNWELL,
}
_NO_CREDIT = frozenset(["insufficient_quota", "billing_hard_limit_reached"])
_NO_CREDIT_MESSAGE = "Your credit balance is too low"
"""Anthropic says so in words alone; elsewhere in a message, words may be those of the request, which an app has chosen."""
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|us|h|m|s)")
_UNITS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
_LONGEST_TEXT = 64


class Fault(NamedTuple):
    """Why an attempt that did not run may be worth another with the next key; `until` is 0 where no key has to rest."""

    cause: str
    until: int = 0

    @property
    def is_of_key(self) -> bool:
        return self.until > 0


def fault_of(status: int, headers: Headers, error: JSONValue, now: int) -> Fault | None:
    """Of a complete error in the dialect's own shape; None where the request itself is what was wrong."""
    words, message = _said(error)
    cause = _CAUSES.get(status)
    if status in (400, 402, 403, 429) and (_NO_CREDIT & words or message.startswith(_NO_CREDIT_MESSAGE)):
        cause = "no_credit"
    elif status == 400 and "API_KEY_INVALID" in words:  # Google's word for what others answer with 401
        cause = "refused"
    if cause is None or cause == UNWELL:
        return None if cause is None else Fault(UNWELL)
    wait = _wait(headers, error, now) if status == 429 else None
    return Fault(cause, now + min(max(USUAL[cause] if wait is None else wait, SHORTEST), LONGEST))


def status_in_stream(error: JSONValue) -> int:
    """What status an error event would have had as a whole answer; 0 where that is not known."""
    inner = error.get("error") if isinstance(error, dict) else None
    if not isinstance(inner, dict):
        return 0
    code = inner.get("code")
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
        return code
    words = [inner.get(name) for name in ("code", "type", "status")]
    return next((_STATUS[word] for word in words if isinstance(word, str) and word in _STATUS), 0)


def _said(error: JSONValue) -> tuple[frozenset[str], str]:
    """Type, code, status and reasons of an error; and its message."""
    inner = error.get("error") if isinstance(error, dict) else None
    if not isinstance(inner, dict):
        return frozenset(), ""
    details, message = inner.get("details"), inner.get("message")
    reasons = [each.get("reason") for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    words = [*(inner.get(name) for name in ("type", "code", "status")), *reasons]
    told = message if isinstance(message, str) else ""
    return frozenset(word for word in words if isinstance(word, str)), told


def _wait(headers: Headers, error: JSONValue, now: int) -> int | None:
    """Microseconds until the provider takes calls again, by what it says most plainly."""
    named = {name.lower(): value.decode("latin-1").strip()[:_LONGEST_TEXT] for name, value in headers}
    if (wait := _number(named.get(b"retry-after-ms", ""), 1_000)) is not None:
        return wait
    if said := named.get(b"retry-after"):
        wait = _number(said, SECOND)
        return _date(said, now) if wait is None else wait
    if (wait := _retry_info(error)) is not None:
        return wait
    return _resets(named, now)


def _resets(named: dict[bytes, str], now: int) -> int | None:
    """OpenAI's x-ratelimit-reset-* are lengths, Anthropic's anthropic-ratelimit-*-reset instants.

    What is used up counts, or all of them where nothing says what that is.
    """
    resets: dict[bool, list[int]] = {True: [], False: []}
    for name, text in named.items():
        if name.startswith(b"x-ratelimit-reset"):
            remaining, wait = named.get(name.replace(b"-reset", b"-remaining")), _length(text, now)
        elif name.startswith(b"anthropic-ratelimit-") and name.endswith(b"-reset"):
            remaining, wait = named.get(name.removesuffix(b"-reset") + b"-remaining"), _instant(text, now)
        else:
            continue
        if wait is not None:
            resets[remaining == "0"].append(wait)
    return max(resets[True] or resets[False], default=None)


def _length(text: str, now: int) -> int | None:
    """1s, 6m0s, 20ms, or a number: of seconds, or an instant in seconds or milliseconds since 1970."""
    if (number := _number(text, SECOND)) is not None:
        for instant in (number // 1_000, number):
            if abs(instant - now) < 366 * DAY:
                return instant - now
        return number
    parts = _PARTS.findall(text)
    if not parts or "".join(f"{size}{unit}" for size, unit in parts) != text:
        return None
    return sum(int(float(size) * _UNITS[unit]) for size, unit in parts)


def _number(text: str, unit: int) -> int | None:
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        return None
    return int(float(text) * unit)


def _date(text: str, now: int) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) * SECOND - now
    except (ValueError, OverflowError):
        return None


def _instant(text: str, now: int) -> int | None:
    try:
        at = datetime.fromisoformat(text)
        return None if at.tzinfo is None else int(at.timestamp()) * SECOND - now
    except (ValueError, OverflowError):
        return None


def _retry_info(error: JSONValue) -> int | None:
    """google.rpc.RetryInfo: "retryDelay": "34s"."""
    inner = error.get("error") if isinstance(error, dict) else None
    details = inner.get("details") if isinstance(inner, dict) else None
    for each in details if isinstance(details, list) else ():
        delay = each.get("retryDelay") if isinstance(each, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return _number(delay[:_LONGEST_TEXT].removesuffix("s"), SECOND)
    return None
