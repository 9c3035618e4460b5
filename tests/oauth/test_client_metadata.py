"""What a client may say of itself, in either way of bringing itself along."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.strict_json import JSONValue
from broker.oauth.client_metadata import (
    PUBLISHED,
    REGISTERED,
    UNNAMED,
    BadMetadata,
    Members,
    Rules,
    read_metadata,
    wire_of,
)
from broker.oauth.grant_types import DEVICE_CODE
from broker.store.tables import Client
from tests.oauth.world import CALLBACK

_KEY: Members = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "alg": "EdDSA"}
PUBLIC_KEY: JSONValue = _KEY
LEAST: Members = {"redirect_uris": [CALLBACK]}


def test_what_is_not_said_is_what_the_standard_says() -> None:
    read = read_metadata(LEAST, REGISTERED)
    assert (read.name, read.auth_method) == (UNNAMED, "client_secret_basic")
    assert read.grant_types == ("authorization_code", "refresh_token")
    assert (read.details_types, read.require_pushed, read.dpop_bound, read.others) == ((), False, False, {})


def test_members_that_are_not_known_here_are_no_fault() -> None:
    strange: Members = {"scope": "mcp:tools", "resource": 5, "contacts": ["a@b.example"], "x-y": {"z": None}}
    assert read_metadata(LEAST | strange, REGISTERED) == read_metadata(LEAST, REGISTERED)


def test_a_member_that_is_null_is_not_said() -> None:
    nothing: Members = dict.fromkeys(["client_name", "grant_types", "response_types", "jwks", "logo_uri", "jwks_uri"])
    assert read_metadata(LEAST | nothing, REGISTERED) == read_metadata(LEAST, REGISTERED)


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "intent://x#Intent;end", "http://notes.example/cb",
        "https://notes.example/cb#", "https://notes.example/cb#x", "https://good.example@evil.example/cb",
        "http://localhost:80@evil.example/", "http://localhost.evil.example/cb", "http://127.1/cb",
        "http://[::ffff:7f00:1]/cb", "https://notes.example\\@evil.example", "https://notes.example/\tcb", "/cb", "",
        "https://notes.example/a/../b", "https://notes.example/%2e%2e/b", "https://notes.example:0/cb", "cursor://x/cb",
        "https://notes.example/cb?code=1", "https://*.notes.example/cb", "https://" + "n" * 2000,
    ],
)  # fmt: skip
def test_an_address_that_must_not_get_a_code_cannot_be_registered(uri: str) -> None:
    with pytest.raises(BadMetadata) as refused:
        read_metadata({"redirect_uris": [CALLBACK, uri]}, REGISTERED)
    assert refused.value.error == "invalid_redirect_uri"
    assert refused.value.description.isascii()
    assert '"' not in refused.value.description


@pytest.mark.parametrize("uris", [None, [], [CALLBACK] * 21], ids=["absent", "none", "many"])
def test_there_are_redirect_addresses_and_not_many(uris: JSONValue) -> None:
    with pytest.raises(BadMetadata) as refused:
        read_metadata({"redirect_uris": uris}, REGISTERED)
    assert refused.value.error == "invalid_redirect_uri"


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1/cb", "http://localhost:33418/", "http://[::1]:1/cb", "com.acme.app:/cb"]
)
def test_a_native_app_may_be_answered_on_its_computer(uri: str) -> None:
    assert read_metadata({"redirect_uris": [uri]}, REGISTERED).redirect_uris == (uri,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_name", 5), ("client_name", "x" * 81), ("client_name", "Open\u202eIA"), ("client_name", "A\u200bcme"),
        ("redirect_uris", CALLBACK), ("redirect_uris", [5]), ("redirect_uris", {}),
        ("token_endpoint_auth_method", "client_secret_jwt"), ("token_endpoint_auth_method", "tls_client_auth"),
        ("token_endpoint_auth_method", "client_secret"), ("token_endpoint_auth_method", "NONE"),
        ("token_endpoint_auth_method", 1), ("token_endpoint_auth_method", "private_key_jwt"),
        ("grant_types", ["implicit"]), ("grant_types", ["password"]), ("grant_types", ["authorization_code", "implicit"]),
        ("grant_types", ["client_credentials"]), ("grant_types", ["authorization_code", "client_credentials"]),
        ("grant_types", ["refresh_token"]), ("grant_types", []), ("grant_types", "authorization_code"),
        ("grant_types", [["authorization_code"]]),
        ("response_types", ["token"]), ("response_types", ["code", "token"]), ("response_types", ["none"]),
        ("response_types", []), ("response_types", "code"),
        ("logo_uri", "javascript:alert(1)"), ("logo_uri", "http://notes.example/logo"), ("client_uri", "data:,x"),
        ("tos_uri", "https://good.example@evil.example/"), ("policy_uri", "policy"), ("logo_uri", ["https://a.example"]),
        ("software_id", "x" * 201), ("software_version", 1.0),
        ("jwks_uri", "http://notes.example/jwks"), ("jwks_uri", "https://127.0.0.1/jwks"), ("jwks_uri", "https://[::1]/j"),
        ("jwks_uri", "https://localhost/jwks"), ("jwks_uri", "https://notes.example:8443/jwks"), ("jwks_uri", "file:///x"),
        ("jwks", {"keys": []}), ("jwks", {}), ("jwks", [PUBLIC_KEY]), ("jwks", "{}"), ("jwks", {"keys": [None]}),
        ("jwks", {"keys": [{**_KEY, "d": "AA"}]}), ("jwks", {"keys": [{"kty": "oct", "k": "AAAA"}]}),
        ("jwks", {"keys": [PUBLIC_KEY, {"kty": "oct", "k": "AAAA"}]}),
        ("authorization_details_types", ["payment"]), ("authorization_details_types", "ai_model_access"),
        ("dpop_bound_access_tokens", "true"), ("require_pushed_authorization_requests", 1),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused(name: str, value: JSONValue) -> None:
    with pytest.raises(BadMetadata) as refused:
        read_metadata(LEAST | {name: value}, REGISTERED)
    assert refused.value.error == "invalid_client_metadata"
    assert refused.value.description.isascii()
    assert not set('"\\') & set(refused.value.description)


def test_keys_are_given_in_one_way() -> None:
    both: Members = {"jwks": {"keys": [PUBLIC_KEY]}, "jwks_uri": "https://notes.example/jwks"}
    with pytest.raises(BadMetadata, match="exclude"):
        read_metadata(LEAST | both, REGISTERED)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384"])
def test_a_signing_client_names_an_algorithm_that_is_verified_here(algorithm: str) -> None:
    signing: Members = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://notes.example/jwks"}
    with pytest.raises(BadMetadata, match="token_endpoint_auth_signing_alg"):
        read_metadata(LEAST | signing | {"token_endpoint_auth_signing_alg": algorithm}, REGISTERED)
    assert read_metadata(LEAST | {"token_endpoint_auth_signing_alg": algorithm}, REGISTERED).others == {}


def test_a_device_needs_no_address_and_no_response_type() -> None:
    read = read_metadata({"grant_types": [DEVICE_CODE, "refresh_token"], "response_types": []}, REGISTERED)
    assert (read.redirect_uris, read.grant_types) == ((), (DEVICE_CODE, "refresh_token"))


def test_a_document_may_speak_of_what_other_servers_have() -> None:
    elsewhere: Members = {
        "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "response_types": ["code", "code id_token"],
        "authorization_details_types": ["payment", "ai_model_access"],
    }
    read = read_metadata(LEAST | elsewhere, PUBLISHED)
    assert read.grant_types == ("authorization_code", "refresh_token")
    assert read.details_types == ("ai_model_access",)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "client_secret_jwt"])
def test_a_document_names_no_way_to_authenticate_that_needs_a_secret(method: str) -> None:
    with pytest.raises(BadMetadata, match="token_endpoint_auth_method"):
        read_metadata(LEAST | {"token_endpoint_auth_method": method}, PUBLISHED)


def test_what_is_registered_is_given_back() -> None:
    said: Members = {
        "client_name": "Acme Notes",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "authorization_details_types": ["ai_model_access"],
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "client_uri": "https://notes.example/",
        "logo_uri": "https://notes.example/logo.png",
        "software_id": "notes",
        "software_version": "2.1",
        "jwks": {"keys": [PUBLIC_KEY]},
    }
    client = Client(id="cli_1", source="registration", verified=0, created_at=0)
    read_metadata(said, REGISTERED).write_to(client)
    assert wire_of(client) == said
    assert (client.public, client.require_pushed, client.dpop_bound) == (0, 1, 1)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.sampled_from([CALLBACK, "code", "none"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_MEMBERS = [
    "client_name",
    "grant_types",
    "response_types",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "token_endpoint_auth_method",
]


@given(
    uris=st.just([CALLBACK]) | _JSON,
    others=st.dictionaries(st.sampled_from(_MEMBERS), _JSON),
    rules=st.sampled_from([REGISTERED, PUBLISHED]),
)
def test_anything_else_is_refused_or_means_the_same_when_it_is_given_back(
    uris: JSONValue, others: Members, rules: Rules
) -> None:
    try:
        told = _stored({"redirect_uris": uris} | others, rules)
    except BadMetadata:
        return
    assert _stored(json.loads(json.dumps(told)), rules) == told


def _stored(members: Members, rules: Rules) -> Members:
    client = Client(id="cli_1", source="registration", verified=0, created_at=0)
    read_metadata(members, rules).write_to(client)
    return wire_of(client)
