"""A vault whose key is the same in every test, so that what one has sealed another opens."""

from broker.vault.vault import Vault


def vault_of_tests() -> Vault:
    return Vault(b"k" * 32)
