"""The JSON Schema of what a consent receipt claims."""

from broker.core.access import DETAILS_TYPES
from broker.oauth.consent import Effect
from broker.oauth.receipt import VERSION
from broker.store.grant_tables import REQUEST_KINDS

_TEXT = {"type": "string", "minLength": 1}
_INSTANT = {"type": "integer", "minimum": 1, "description": "Seconds since 1970."}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_ALGORITHM = {"const": "sha-256"}
_DETAILS = {
    "type": "array",
    "items": {"type": "object", "required": ["type"], "properties": {"type": {"enum": list(DETAILS_TYPES)}}},
}


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


SCHEMA: dict[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "consent-receipt",
    **_object(
        iss=_TEXT,
        iat=_INSTANT,
        jti=_TEXT,
        receipt_version={"const": VERSION},
        sub={**_TEXT, "description": "The person, by the name that this client knows them by."},
        client_id=_TEXT,
        client=_object(
            name={"type": "string", "description": "As the page showed it."},
            address={"type": "string"},
            verified={"type": "boolean", "description": "Whether the operator has checked who runs it."},
        ),
        request=_object(
            id=_TEXT,
            kind={"enum": list(REQUEST_KINDS)},
            received_at=_INSTANT,
            authorization_details=_DETAILS,
            digest_alg=_ALGORITHM,
            digest={**_DIGEST, "description": "Of the request as it is stored; the audit trail names it so."},
        ),
        decision=_object(
            grant_id=_TEXT,
            decided_at=_INSTANT,
            effect={"enum": [effect.value for effect in Effect]},
            dpop_required={"type": "boolean", "description": "Whether every token must be bound to a key (RFC 9449)."},
            authorization_details={**_DETAILS, "description": "Of what was asked, that which was granted, as granted."},
        ),
        shown=_object(
            language=_TEXT,
            digest_alg=_ALGORITHM,
            digest={**_DIGEST, "description": "Of the words of the page, with a salt; the person can download both."},
        ),
    ),
}
