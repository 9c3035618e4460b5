"""What a client is held to: OAuth 2.1, or the FAPI 2.0 Security Profile (final), as one table."""

import json
from dataclasses import dataclass

from broker.oauth.client_keys import Keys
from broker.oauth.jws import ALGORITHMS
from broker.oauth.redirect_uri import is_https, is_this_computer
from broker.store.tables import Client


@dataclass(frozen=True, slots=True)
class Profile:
    methods: tuple[str, ...]
    """How it may authenticate itself."""
    algorithms: tuple[str, ...]
    """What it may sign its assertions with."""
    grant_types: tuple[str, ...]
    """Those it may use; an empty one is all."""
    issuer_alone: bool
    """Whether an assertion is for the issuer, written as a string, and for nothing else."""
    assertion_seconds: int
    """How far ahead an assertion may end."""
    must_push: bool
    must_prove: bool
    """Whether each of its tokens is bound to a key (RFC 9449)."""
    most_code_seconds: int
    most_par_seconds: int
    https_only: bool
    """Whether each redirect address is https, or the computer itself by its number for a native app (RFC 8252 §7.3)."""


OAUTH = Profile(
    methods=("none", "client_secret", "client_secret_basic", "client_secret_post", "private_key_jwt"),
    algorithms=ALGORITHMS,
    grant_types=(),
    issuer_alone=False,
    assertion_seconds=3600,
    must_push=False,
    must_prove=False,
    most_code_seconds=600,
    most_par_seconds=600,
    https_only=False,
)

FAPI2 = Profile(
    methods=("private_key_jwt",),
    algorithms=("PS256", "ES256", "EdDSA", "Ed25519"),
    # Not a device's: nothing there ties the person's browser to who asks, which is what the profile is for. Nor an exchange,
    # by which a token would reach an agent without its client's key.
    grant_types=("authorization_code", "refresh_token", "client_credentials"),
    issuer_alone=True,
    assertion_seconds=300,
    must_push=True,
    must_prove=True,
    most_code_seconds=60,
    most_par_seconds=599,
    https_only=True,
)


def profile_of(client: Client) -> Profile:
    return FAPI2 if client.fapi2 else OAUTH


def must_prove(client: Client) -> bool:
    """Whether it gets no token without a proof of possession: by its profile, or by its registration (RFC 9449 §5.2)."""
    return bool(client.dpop_bound) or profile_of(client).must_prove


def must_push(client: Client, everyone: bool) -> bool:
    """Whether it may only ask by a pushed request: each client where `everyone` must (RFC 9126 §5, §6)."""
    return everyone or bool(client.require_pushed) or profile_of(client).must_push


def contradiction(client: Client, keys: Keys) -> str | None:
    """Why its registration does not fit what it is held to; None if it does. `keys` are those registered with it."""
    profile = profile_of(client)
    if client.auth_method not in profile.methods:
        return "a FAPI 2.0 client authenticates with private_key_jwt, so it is not public and has keys"
    if keys and not any(name in profile.algorithms for key in keys for name in key.algorithms):
        return "none of its keys signs with PS256, ES256 or EdDSA"
    uris: list[str] = json.loads(client.redirect_uris)
    if profile.https_only and not all(is_https(uri) or is_this_computer(uri) for uri in uris):
        return "a FAPI 2.0 client has redirect addresses with https, or with 127.0.0.1 or [::1]"
    return None
