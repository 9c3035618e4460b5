"""The JSON Schema of what a client may ask for (RFC 9396 §11.3)."""

from broker.core.access import ALL_ACTIONS, PERIODS, TYPE
from broker.core.details import MAX_COUNT, MAX_SECONDS

_COUNT = {"type": "integer", "minimum": 1, "maximum": MAX_COUNT}
_AMOUNT = "^(?!0(\\.0+)?$)(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?$"
"""Dollars above 0 with at most six places."""

SCHEMA: dict[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": TYPE,
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "provider", "models", "actions"],
    "properties": {
        "type": {"const": TYPE},
        "provider": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
        "models": {
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "uniqueItems": True,
            "items": {"type": "string", "pattern": "^[!-)+-~]{0,199}([!-)+-~]|\\*)$"},
        },
        "actions": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(ALL_ACTIONS)}},
        "budget": {
            "type": "object",
            "additionalProperties": False,
            "required": ["amount", "currency"],
            "properties": {
                "amount": {"type": "string", "pattern": _AMOUNT},
                "currency": {"const": "USD"},
                "per": {"enum": list(PERIODS), "default": "grant"},
            },
        },
        "max_requests": _COUNT,
        "rate_limit": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {"requests_per_minute": _COUNT, "tokens_per_minute": _COUNT, "concurrent": _COUNT},
        },
        "max_output_tokens": _COUNT,
        "expires_in": {"type": "integer", "minimum": 60, "maximum": MAX_SECONDS},
        "locations": {
            "type": "array",
            "minItems": 1,
            "maxItems": 8,
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1, "maxLength": 500},
        },
        "purpose": {"type": "string", "minLength": 1, "maxLength": 280},
    },
}
