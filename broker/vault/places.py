"""Where each sealed value belongs, and the list of all of them: what is not listed here is not resealed by a rotation."""

from collections.abc import Callable
from typing import Any, NamedTuple

from broker.audit.record import OPERATOR
from broker.core.credential import SealedKey
from broker.store.grant_tables import Device, GrantRequest
from broker.store.sealed import SealedColumn
from broker.store.tables import Credential, Setting, SigningKey
from broker.store.token_tables import OAuthConnect, ProviderOAuth
from broker.vault.vault import Place

CHECK = "vault_check"
"""The fact that tells whether a master key belongs to this database."""
ROOT = "vault_root"
"""The fact from which the keys are derived that must outlive every master key."""


def credential_place(row: Credential | SealedKey) -> Place:
    return Place("credential", row.id, row.user_id or OPERATOR, row.provider, row.version, row.base_url)


def signing_key_place(kid: str) -> Place:
    return Place("signing_key", kid, "operator")


def code_place(request: GrantRequest) -> Place:
    return Place("grant_request", request.id, request.client_id)


def user_code_place(device: Device) -> Place:
    return Place("device", device.digest, device.client_id)


def client_secret_place(provider: str) -> Place:
    return Place("provider_oauth", provider, "operator", provider)


def verifier_place(digest: str, user_id: str) -> Place:
    return Place("oauth_connect", digest, user_id)


def setting_place(name: str) -> Place:
    return Place("setting", name, "operator")


class Sealed(NamedTuple):
    """A column of sealed values, with the place of the one in a row."""

    column: SealedColumn
    place: Callable[[Any], Place]


EVERY = (
    Sealed(SealedColumn(Setting, "name", "value", only=(CHECK, ROOT)), lambda row: setting_place(row.name)),
    Sealed(SealedColumn(Credential, "id", "sealed"), credential_place),
    Sealed(SealedColumn(SigningKey, "kid", "sealed"), lambda row: signing_key_place(row.kid)),
    Sealed(SealedColumn(GrantRequest, "id", "sealed_code"), code_place),
    Sealed(SealedColumn(Device, "digest", "sealed_user_code"), user_code_place),
    Sealed(SealedColumn(ProviderOAuth, "provider", "sealed_secret"), lambda row: client_secret_place(row.provider)),
    Sealed(
        SealedColumn(OAuthConnect, "digest", "sealed_verifier"), lambda row: verifier_place(row.digest, row.user_id)
    ),
)
