"""Reading authorization_details strictly: an unknown field or a wrong type refuses the whole request (RFC 9396 §5)."""

import re
from collections.abc import Callable
from typing import Literal, Never

from broker.core.access import ALL_ACTIONS, PERIODS, TYPE, Access, Budget, RateLimit
from broker.core.money import MAX_MONEY, parse_decimal
from broker.core.strict_json import JSONValue, NotStrict, loads

Mode = Literal["request", "token"]
"""`request`: models and actions are required; `token`: absent members inherit, expires_at and identifier are accepted."""

MAX_BYTES = 65_536
MAX_ELEMENTS = 16
MAX_COUNT = 10**12
MAX_SECONDS = 10**10

_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_MODEL = re.compile(r"[!-)+-~]{0,199}(?:[!-)+-~]|\*)", re.ASCII)
_REQUEST_FIELDS = frozenset(
    [
        "type",
        "provider",
        "models",
        "actions",
        "budget",
        "max_requests",
        "rate_limit",
        "max_output_tokens",
        "expires_in",
        "locations",
        "purpose",
    ]
)
_TOKEN_FIELDS = _REQUEST_FIELDS | {"expires_at", "identifier"}
_RATES = ("requests_per_minute", "tokens_per_minute", "concurrent")


class BadDetails(ValueError):
    """Names the member that is wrong, in ASCII fit for an error_description."""


def parse_details(raw: str | JSONValue, mode: Mode = "request") -> tuple[Access, ...]:
    """Reads the JSON text of a parameter, or an array already parsed from a JSON body; raises BadDetails."""
    return tuple(_access(element, mode) for element in read_array(raw))


def read_array(raw: str | JSONValue) -> list[JSONValue]:
    """The elements, of any type as yet; raises BadDetails."""
    value: JSONValue = raw
    if isinstance(raw, str):
        encoded = raw.encode("utf-8", "surrogatepass")
        if len(encoded) > MAX_BYTES:
            _bad("authorization_details is too large")
        try:
            value = loads(encoded)
        except NotStrict as error:
            raise BadDetails("authorization_details is not strict JSON") from error
    if not isinstance(value, list):
        _bad("authorization_details must be a JSON array")
    if not 1 <= len(value) <= MAX_ELEMENTS:
        _bad(f"authorization_details must hold 1 to {MAX_ELEMENTS} objects")
    return value


def _access(element: JSONValue, mode: Mode) -> Access:
    if not isinstance(element, dict):
        _bad("each element must be an object")
    if element.get("type") != TYPE:
        _bad(f"type must be {TYPE}")
    unknown = element.keys() - (_REQUEST_FIELDS if mode == "request" else _TOKEN_FIELDS)
    if unknown:
        _bad("an element has a member that this type does not know or that a client may not send")
    if mode == "request" and not {"models", "actions"} <= element.keys():
        _bad("models and actions are required")
    identifier = element.get("identifier")
    return Access(
        provider=_text(element, "provider", _PROVIDER.fullmatch),
        models=_list(element, "models", 64, lambda m: bool(_MODEL.fullmatch(m))) or (),
        actions=_list(element, "actions", len(ALL_ACTIONS), lambda a: a in ALL_ACTIONS) or (),
        budget=_budget(element),
        max_requests=_count(element, "max_requests"),
        rate_limit=_rate_limit(element),
        max_output_tokens=_count(element, "max_output_tokens"),
        expires_in=_count(element, "expires_in", minimum=60, maximum=MAX_SECONDS),
        expires_at=_count(element, "expires_at", maximum=MAX_SECONDS),
        identifier=None if identifier is None else _text(element, "identifier", lambda t: 0 < len(t) <= 128),
        locations=_list(element, "locations", 8, lambda uri: 0 < len(uri) <= 500),
        purpose=_purpose(element),
    )


def _budget(element: dict[str, JSONValue]) -> Budget | None:
    if "budget" not in element:
        return None
    budget = element["budget"]
    if not isinstance(budget, dict) or not {"amount", "currency"} <= budget.keys() <= {"amount", "currency", "per"}:
        _bad("budget must have amount and currency, and may have per")
    if budget["currency"] != "USD":
        _bad("the currency of a budget must be USD")
    amount = parse_decimal(budget["amount"]) if isinstance(budget["amount"], str) else None
    if amount is None or not 0 < amount <= MAX_MONEY:
        _bad("the amount of a budget must be a decimal string above 0 with at most 6 places")
    per = budget.get("per", "grant")
    if per not in PERIODS:
        _bad("per must be grant, day, week or month")
    return Budget(amount, per)


def _rate_limit(element: dict[str, JSONValue]) -> RateLimit:
    if "rate_limit" not in element:
        return RateLimit()
    rates = element["rate_limit"]
    if not isinstance(rates, dict) or not rates or not rates.keys() <= set(_RATES):
        _bad("rate_limit must have some of requests_per_minute, tokens_per_minute, concurrent")
    return RateLimit(*(_count(rates, name) for name in _RATES))


def _count(holder: dict[str, JSONValue], name: str, *, minimum: int = 1, maximum: int = MAX_COUNT) -> int | None:
    if name not in holder:
        return None
    value = holder[name]
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        _bad(f"{name} must be an integer from {minimum} to {maximum}")
    return value


def _text(holder: dict[str, JSONValue], name: str, valid: Callable[[str], object]) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not valid(value):
        _bad(f"{name} is missing or not valid")
    return value


def _list(holder: dict[str, JSONValue], name: str, most: int, valid: Callable[[str], bool]) -> tuple[str, ...] | None:
    if name not in holder:
        return None
    values = holder[name]
    if not isinstance(values, list) or not 1 <= len(values) <= most:
        _bad(f"{name} must be an array of 1 to {most} strings")
    texts = [value for value in values if isinstance(value, str) and valid(value)]
    if len(texts) != len(values) or len(set(texts)) != len(texts):
        _bad(f"{name} has a value that is not valid or stands twice")
    return tuple(texts)


def _purpose(element: dict[str, JSONValue]) -> str | None:
    if "purpose" not in element:
        return None
    return _text(element, "purpose", lambda text: 0 < len(text) <= 280)


def _bad(reason: str) -> Never:
    raise BadDetails(reason)
