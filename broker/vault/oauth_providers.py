"""The secret of this broker as a client at a provider's authorization server."""

from broker.core.secret import Secret
from broker.store.token_tables import ProviderOAuth
from broker.vault.places import client_secret_place
from broker.vault.vault import Vault


def client_secret(vault: Vault, row: ProviderOAuth) -> Secret | None:
    """None for a public client; raises Unavailable when it does not open."""
    return vault.open(row.sealed_secret, client_secret_place(row.provider)) if row.sealed_secret else None
