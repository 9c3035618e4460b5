"""The shapes that more than one operation speaks of."""

from broker.core.access import PERIODS
from broker.core.grant import GrantState
from broker.oauth import details_schema, receipt_schema
from broker.openapi.operation import Schema, record, ref, text

_COUNT: Schema = {"type": ["integer", "null"]}
_SECONDS: Schema = {"type": "integer", "description": "Seconds since 1970."}


def _inner(schema: dict[str, object]) -> Schema:
    """A JSON Schema as part of a larger document, whose dialect is the same."""
    return {name: value for name, value in schema.items() if name != "$schema"}


def _listed(name: str) -> Schema:
    return {"type": "array", "items": ref(name)}


_MONEY: Schema = {"type": "integer", "description": "Micro-dollars."}
_BUDGET = record(
    "limit settled held remaining overrun currency unit per resets_at",
    limit=_MONEY, settled=_MONEY, held=_MONEY, remaining=_MONEY, overrun=_MONEY,
    currency={"const": "USD"}, unit={"const": "micro"}, per={"enum": list(PERIODS)}, resets_at=_COUNT,
)  # fmt: skip
_RATES = record(
    "requests_per_minute tokens_per_minute concurrent",
    requests_per_minute=_COUNT,
    tokens_per_minute=_COUNT,
    concurrent=_COUNT,
)
_ACCESS = record(
    "provider models actions expires_at budget requests rate_limit max_output_tokens",
    provider=text(),
    models={"type": "array", "items": text()},
    actions={"type": "array", "items": text()},
    expires_at=_SECONDS,
    budget=_BUDGET,
    requests=record("limit used", limit=_COUNT, used={"type": "integer"}),
    rate_limit=_RATES,
    max_output_tokens=_COUNT,
)

SCHEMAS: dict[str, Schema] = {
    "AccessType": _inner(details_schema.SCHEMA),
    "ConsentReceipt": _inner(receipt_schema.SCHEMA),
    "Granted": {
        "type": "object",
        "description": "One object of authorization_details as granted: what was asked, with its end as an instant.",
        "required": ["type"],
        "properties": {"type": text()},
    },
    "Access": _ACCESS,
    "Grant": record(
        "grant_id state client_id created_at access authorization_details",
        grant_id=text(),
        state={"enum": [state.value for state in GrantState]},
        client_id=text(),
        created_at=_SECONDS,
        access=_listed("Access"),
        authorization_details=_listed("Granted"),
    ),
    "Tokens": record(
        "access_token token_type expires_in authorization_details grant_id",
        access_token=text("A signed token (RFC 9068)."),
        token_type={"enum": ["Bearer", "DPoP"]},
        expires_in={"type": "integer"},
        refresh_token=text(),
        refresh_token_timeout={"type": "integer"},
        authorization_expires_in={"type": "integer"},
        authorization_details=_listed("Granted"),
        grant_id=text(),
    ),
    "Registration": {
        "type": "object",
        "description": "Client metadata (RFC 7591 §2); members that are not known are ignored.",
        "properties": {
            "redirect_uris": {"type": "array", "items": text()},
            "client_name": text(),
            "token_endpoint_auth_method": text(),
            "grant_types": {"type": "array", "items": text()},
        },
    },
    "Error": record("error error_description", error=text("RFC 6749 §5.2"), error_description=text()),
    "ProxyError": {
        "type": "object",
        "description": "In the shape of the dialect that is spoken; the code is the same in each, and in Google's a reason in `details`.",
    },
    "Health": record("status", status={"enum": ["ok", "unavailable"]}, checks={"type": "object"}),
}
