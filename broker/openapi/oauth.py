"""Discovery, the OAuth endpoints and operation: what stands in the table of routes for programs."""

from broker.openapi.operation import CLIENT, FORM, JSON, TOKEN, Operation, Schema, record, ref, text

_CLIENT_MEMBERS: dict[str, object] = {
    "client_id": text(),
    "client_secret": text(),
    "client_assertion_type": text(),
    "client_assertion": text("RFC 7523"),
}
_DETAILS = text(
    "A JSON array of objects, each as AccessType says.",
    contentMediaType=JSON,
    contentSchema={"type": "array", "items": ref("AccessType")},
)
_ASKED: dict[str, object] = {
    "response_type": {"const": "code"},
    "client_id": text(),
    "redirect_uri": text(),
    "state": text(),
    "code_challenge": text("RFC 7636"),
    "code_challenge_method": {"const": "S256"},
    "authorization_details": _DETAILS,
    "resource": text("The proxy's own address."),
    "dpop_jkt": text("RFC 9449 §10"),
    "grant_management_action": {"enum": ["create", "merge", "replace"]},
    "grant_id": text(),
}
_NEEDED = "response_type client_id redirect_uri code_challenge code_challenge_method authorization_details"
_GRANT_TYPES = [
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]
_TOKEN_FORM = record(
    "grant_type",
    grant_type=text("Among others: " + ", ".join(_GRANT_TYPES)),
    code=text(),
    code_verifier=text(),
    redirect_uri=text(),
    refresh_token=text(),
    device_code=text(),
    subject_token=text("RFC 8693: an access token of this client"),
    subject_token_type={"const": "urn:ietf:params:oauth:token-type:access_token"},
    requested_token_type={"const": "urn:ietf:params:oauth:token-type:access_token"},
    audience=text(),
    agent_name=text("Whom the token is made for."),
    grant_id=text(),
    authorization_details=_DETAILS,
    resource=text(),
    **_CLIENT_MEMBERS,
)
_SHOWN_TOKEN = record("token", token=text(), token_type_hint=text(), **_CLIENT_MEMBERS)
_FORM_ERRORS = {
    400: "The request is not right.",
    401: "The client is not who it says.",
    429: "Too many from this address.",
    503: "The store does not answer; nothing was changed.",
}
_GRANT_ERRORS = {401: "No credential, or a wrong one.", 404: "There is no such grant of this client."}
_REGISTERED_ERRORS = {401: "The registration access token is wrong.", 404: "Registration is off."}


def _document(summary: str, schema: Schema, kind: str = JSON) -> Operation:
    return Operation(summary, "discovery", answers={200: ("The document.", {kind: schema})})


def _posted(summary: str, body: Schema, status: int, meaning: str, answer: Schema | None) -> Operation:
    bodies = {} if answer is None else {JSON: answer}
    return Operation(summary, "oauth", CLIENT, {FORM: body}, answers={status: (meaning, bodies)}, errors=_FORM_ERRORS)


_ANY: Schema = {"type": "object"}
_SENT_BY_A_CLIENT = "Asks a person for access, on a page of this server: for a browser that a client sends here."
_LED_ON: dict[int, tuple[str, dict[str, Schema]]] = {
    303: ("Leads to the page, or back to the client with an error.", {}),
    400: ("A page that says what is wrong with the client or its address.", {}),
}
_TOKENS = {200: ("Tokens.", {JSON: ref("Tokens")})}
_REGISTERED = {200: ("What is registered.", {JSON: ref("Registration")})}

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/.well-known/oauth-authorization-server"): _document("What this server can do (RFC 8414).", _ANY),
    ("GET", "/.well-known/oauth-protected-resource/proxy"): _document("What the proxy is (RFC 9728).", _ANY),
    ("GET", "/.well-known/jwks.json"): _document("The public keys.", _ANY, "application/jwk-set+json"),
    ("GET", "/schemas/ai_model_access.json"): _document("What may be asked for.", _ANY, "application/schema+json"),
    ("GET", "/schemas/consent_receipt.json"): _document("A consent receipt.", _ANY, "application/schema+json"),
    ("GET", "/openapi.json"): _document("This document.", _ANY),
    ("GET", "/oauth/authorize"): Operation(
        _SENT_BY_A_CLIENT, "oauth", query=record("client_id", request_uri=text("RFC 9126"), **_ASKED), answers=_LED_ON
    ),
    ("POST", "/oauth/authorize"): Operation(
        _SENT_BY_A_CLIENT, "oauth", body={FORM: record(_NEEDED, **_ASKED)}, answers=_LED_ON
    ),
    ("POST", "/oauth/par"): _posted(
        "Pushes a request (RFC 9126).", record(_NEEDED, **_ASKED | _CLIENT_MEMBERS), 201, "It can be opened now.",
        record("request_uri expires_in", request_uri=text(), expires_in={"type": "integer"}),
    ),
    ("POST", "/oauth/device_authorization"): _posted(
        "Asks without a browser (RFC 8628).",
        record("authorization_details", authorization_details=_DETAILS, device_name=text(), **_CLIENT_MEMBERS),
        200, "A code for the device, and one for its person.",
        record(
            "device_code user_code verification_uri expires_in", device_code=text(), user_code=text(),
            verification_uri=text(), verification_uri_complete=text(),
            expires_in={"type": "integer"}, interval={"type": "integer"},
        ),
    ),
    ("POST", "/oauth/token"): Operation(
        "Exchanges a code, refreshes, or gets tokens for a service.", "oauth", CLIENT, {FORM: _TOKEN_FORM},
        answers=_TOKENS, errors=_FORM_ERRORS,
    ),
    ("POST", "/proxy/anthropic/v1/oauth/token"): Operation(
        "The same, where Anthropic's own library looks for it.", "oauth", CLIENT,
        {FORM: _TOKEN_FORM, JSON: _TOKEN_FORM}, answers=_TOKENS, errors=_FORM_ERRORS,
    ),
    ("POST", "/oauth/revoke"): _posted(
        "Gives a token back (RFC 7009).", _SHOWN_TOKEN, 200, "It is worth nothing any more.", None
    ),
    ("POST", "/oauth/introspect"): _posted(
        "Asks what a token is worth now (RFC 7662).", _SHOWN_TOKEN, 200, "What it is worth.",
        record("active", active={"type": "boolean"}),
    ),
    ("GET", "/oauth/grants/{grant_id}"): Operation(
        "Reads a grant.", "grants", (*TOKEN[:2], CLIENT[0]),
        answers={200: ("The grant.", {JSON: ref("Grant")})}, errors=_GRANT_ERRORS,
    ),
    ("GET", "/oauth/grants/{grant_id}/receipts"): Operation(
        "Reads what its person agreed to.", "grants", (*TOKEN[:2], CLIENT[0]),
        answers={200: ("Newest first; each is a signed ConsentReceipt.", {JSON: record(
            "receipts", receipts={"type": "array", "items": record("id receipt", id=text(), receipt=text())}
        )})},
        errors=_GRANT_ERRORS,
    ),
    ("DELETE", "/oauth/grants/{grant_id}"): Operation(
        "Gives a grant back.", "grants", (*TOKEN[:2], CLIENT[0]), answers={204: ("It is revoked.", {})},
        errors=_GRANT_ERRORS,
    ),
    ("POST", "/oauth/register"): Operation(
        "Registers a client, where the operator lets clients do so (RFC 7591).", "registration",
        body={JSON: ref("Registration")}, answers={201: ("What is registered.", {JSON: ref("Registration")})},
        errors={400: "The metadata break a rule.", 404: "Registration is off.", 429: "Too many from this address."},
    ),
    ("GET", "/oauth/register/{client_id}"): Operation(
        "Reads a registration (RFC 7592).", "registration", ("registration",), answers=_REGISTERED,
        errors=_REGISTERED_ERRORS,
    ),
    ("PUT", "/oauth/register/{client_id}"): Operation(
        "Replaces a registration.", "registration", ("registration",), {JSON: ref("Registration")},
        answers=_REGISTERED, errors={400: "The metadata break a rule.", **_REGISTERED_ERRORS},
    ),
    ("DELETE", "/oauth/register/{client_id}"): Operation(
        "Ends a registration.", "registration", ("registration",), answers={204: ("It is gone.", {})},
        errors=_REGISTERED_ERRORS,
    ),
    ("GET", "/metrics"): Operation(
        "Figures in Prometheus' text format, for the machine itself and whoever has BROKER_METRICS_TOKEN.", "operation",
        ("metrics",), answers={200: ("They.", {"text/plain": text()})},
        errors={401: "From elsewhere, without the token.", 503: "The database does not answer."},
    ),
    ("GET", "/health/live"): Operation(
        "Whether the process answers at all.", "operation", answers={200: ("It does.", {JSON: ref("Health")})}
    ),
    ("GET", "/health/ready"): Operation(
        "Whether it can do its work.", "operation",
        answers={200: ("It can.", {JSON: ref("Health")}), 503: ("It cannot.", {JSON: ref("Health")})},
    ),
}  # fmt: skip
