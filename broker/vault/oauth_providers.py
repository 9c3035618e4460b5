"""The secret of this broker as a client at a provider's authorization server."""

from broker.core.secret import Secret
from broker.store.token_tables import ProviderOAuth
from broker.vault.vault import Place, Vault


def client_secret(vault: Vault, row: ProviderOAuth) -> Secret | None:
    """None for a public client; raises Unavailable when it does not open."""
    return vault.open(row.sealed_secret, place_of(row.provider)) if row.sealed_secret else None


def place_of(provider: str) -> Place:
    return Place("provider_oauth", provider, "operator", provider)
