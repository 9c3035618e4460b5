"""What a client says of itself (RFC 7591 §2), read strictly; members that are not known here are ignored."""

import json
from dataclasses import dataclass

from broker.core.access import DETAILS_TYPES
from broker.core.errors import OAuthError
from broker.core.strict_json import JSONValue, dumps
from broker.oauth.assertion import SIGNING
from broker.oauth.client_auth import METHODS
from broker.oauth.client_keys import parse_keys
from broker.oauth.clients import MAX_URIS, is_name
from broker.oauth.grant_types import DEVICE_CODE, TOKEN_EXCHANGE
from broker.oauth.jws import ALGORITHMS, BadKey
from broker.oauth.redirect_uri import MAX_LENGTH, fault, is_https
from broker.providers.fetch import is_fetchable
from broker.store.tables import Client

Members = dict[str, JSONValue]

UNNAMED = "An app without a name"
ASKING = ("authorization_code", DEVICE_CODE)
"""The grant types by which a person is asked: a client that brings itself along has no other way to a grant."""
GRANT_TYPES = (*ASKING, "refresh_token", TOKEN_EXCHANGE)
PAGES = ("client_uri", "logo_uri", "tos_uri", "policy_uri")
MAX_TEXT = 200


class BadMetadata(OAuthError):
    def __init__(self, reason: str, error: str = "invalid_client_metadata") -> None:
        super().__init__(error, f"{reason}.")


@dataclass(frozen=True, slots=True)
class Rules:
    """Where the metadata comes from, and so what may be in it."""

    methods: tuple[str, ...]
    """How the client may authenticate; the first one is meant where it does not say."""
    skips_unknown: bool
    """Whether it is written for many servers, so that another one's words are no fault."""


REGISTERED = Rules(("client_secret_basic", *(method for method in METHODS if method != "client_secret_basic")), False)
PUBLISHED = Rules(("none", "private_key_jwt"), True)
"""A document that anybody may read holds no secret."""


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    name: str
    redirect_uris: tuple[str, ...]
    auth_method: str
    grant_types: tuple[str, ...]
    details_types: tuple[str, ...]
    """An empty one is all."""
    jwks: str
    jwks_uri: str
    require_pushed: bool
    dpop_bound: bool
    others: dict[str, str]
    """Nothing is done with these; they are given back."""

    def write_to(self, client: Client) -> None:
        client.name = self.name
        client.public = int(self.auth_method == "none")
        client.auth_method = self.auth_method
        client.redirect_uris = json.dumps(self.redirect_uris)
        client.grant_types = json.dumps(self.grant_types)
        client.details_types = json.dumps(self.details_types)
        client.jwks, client.jwks_uri = self.jwks, self.jwks_uri
        client.require_pushed, client.dpop_bound = int(self.require_pushed), int(self.dpop_bound)
        client.registered = json.dumps(self.others)


def read_metadata(members: Members, rules: Rules) -> ClientMetadata:
    """Raises BadMetadata with the first thing wrong, in words that repeat nothing of what was sent."""
    method = _text(members, "token_endpoint_auth_method") or rules.methods[0]
    if method not in rules.methods:
        raise BadMetadata("The token_endpoint_auth_method is not supported")
    grant_types = _grant_types(members, rules)
    jwks, jwks_uri = _keys(members)
    if method == "private_key_jwt" and not jwks and not jwks_uri:
        raise BadMetadata("private_key_jwt needs jwks or jwks_uri")
    signing = _text(members, SIGNING) if method == "private_key_jwt" else ""
    if signing and signing not in ALGORITHMS:
        raise BadMetadata(f"The {SIGNING} is not supported")
    pages = {name: _page(members, name) for name in PAGES}
    texts = {name: _text(members, name) for name in ("software_id", "software_version")} | {SIGNING: signing}
    return ClientMetadata(
        name=_name(members),
        redirect_uris=_redirect_uris(members, required="authorization_code" in grant_types),
        auth_method=method,
        grant_types=grant_types,
        details_types=_known(members, "authorization_details_types", DETAILS_TYPES, skip=rules.skips_unknown),
        jwks=jwks,
        jwks_uri=jwks_uri,
        require_pushed=_flag(members, "require_pushed_authorization_requests"),
        dpop_bound=_flag(members, "dpop_bound_access_tokens"),
        others={name: value for name, value in (pages | texts).items() if value},
    )


def wire_of(client: Client) -> Members:
    """All metadata as it is registered (RFC 7591 §3.2.1)."""
    grant_types = json.loads(client.grant_types)
    told: Members = {
        "client_name": client.name,
        "redirect_uris": json.loads(client.redirect_uris),
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": grant_types,
        "response_types": ["code"] if "authorization_code" in grant_types else [],
        "authorization_details_types": json.loads(client.details_types) or list(DETAILS_TYPES),
        "require_pushed_authorization_requests": bool(client.require_pushed),
        "dpop_bound_access_tokens": bool(client.dpop_bound),
        **json.loads(client.registered),
    }
    if client.jwks:
        told["jwks"] = json.loads(client.jwks)
    if client.jwks_uri:
        told["jwks_uri"] = client.jwks_uri
    return told


def _name(members: Members) -> str:
    name = _text(members, "client_name").strip() or UNNAMED
    if not is_name(name):
        raise BadMetadata("The client_name is too long, or has invisible characters")
    return name


def _redirect_uris(members: Members, *, required: bool) -> tuple[str, ...]:
    uris = _texts(members, "redirect_uris")
    if required and not uris:
        raise BadMetadata("redirect_uris is required", "invalid_redirect_uri")
    if len(uris) > MAX_URIS:
        raise BadMetadata(f"There are at most {MAX_URIS} redirect_uris", "invalid_redirect_uri")
    for position, uri in enumerate(uris):
        why = fault(uri)
        if why is not None:
            raise BadMetadata(f"redirect_uris at {position}: {_ascii(why)}", "invalid_redirect_uri")
    return uris


def _grant_types(members: Members, rules: Rules) -> tuple[str, ...]:
    """RFC 7591 §2 has authorization_code where nothing is said; and it may replace what is: here a code brings both tokens."""
    named = _known(members, "grant_types", GRANT_TYPES, skip=rules.skips_unknown)
    if members.get("grant_types") is None or "authorization_code" in named:
        named = tuple(each for each in GRANT_TYPES if each in (*named, "authorization_code", "refresh_token"))
    if not set(named) & set(ASKING):
        raise BadMetadata("Of the grant_types none leads to a person who could agree")
    answers = _known(members, "response_types", ("code",), skip=rules.skips_unknown)
    if "authorization_code" in named and members.get("response_types") is not None and not answers:
        raise BadMetadata("authorization_code goes with the response_types code")
    return named


def _keys(members: Members) -> tuple[str, str]:
    uri, value = _text(members, "jwks_uri", MAX_LENGTH), members.get("jwks")
    if uri and value is not None:
        raise BadMetadata("jwks and jwks_uri exclude each other")
    if uri and not is_fetchable(uri):
        raise BadMetadata("The jwks_uri is no https address of a named host")
    if value is None:
        return "", uri
    try:
        parse_keys(value)
    except BadKey as error:
        raise BadMetadata(f"The jwks is refused: {error}") from error
    return dumps(value).decode(), uri


def _page(members: Members, name: str) -> str:
    address = _text(members, name, MAX_LENGTH)
    if address and not (is_https(address) and fault(address) is None):
        raise BadMetadata(f"The {name} is no https address")
    return address


def _known(members: Members, name: str, known: tuple[str, ...], *, skip: bool) -> tuple[str, ...]:
    """Each once, in our order."""
    named = _texts(members, name)
    if not skip and not set(named) <= set(known):
        raise BadMetadata(f"One of the {name} is not supported")
    return tuple(each for each in known if each in named)


def _text(members: Members, name: str, most: int = MAX_TEXT) -> str:
    """Empty where it is absent, or null."""
    value = members.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise BadMetadata(f"{name} must be a string of at most {most} characters")
    return value


def _texts(members: Members, name: str) -> tuple[str, ...]:
    value = members.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadMetadata(f"{name} must be an array of strings")
    return tuple(str(each) for each in value)


def _flag(members: Members, name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise BadMetadata(f"{name} must be true or false")
    return value


def _ascii(sentence: str) -> str:
    return sentence.replace("…", "...")
