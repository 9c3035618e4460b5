"""Credentials on their way into and out of the vault; each change is audited where it happens."""

from collections.abc import Callable

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.credential import SealedKey, shown_prefix
from broker.core.handle import new_id
from broker.core.secret import Secret
from broker.store import credentials, oauth_tokens
from broker.store.tables import Credential
from broker.store.token_tables import OAuthToken
from broker.vault.oauth_tokens import Tokens, key_of, pack
from broker.vault.places import credential_place
from broker.vault.vault import Vault


async def add_credential(
    tx: AsyncSession,
    vault: Vault,
    *,
    provider: str,
    key: Secret,
    name: str,
    user_id: str | None,
    now: int,
    by: str,
    state: str = "unchecked",
    base_url: str = "",
) -> Credential:
    """Seals a key as this person's own, or as the operator's where `user_id` is None; `by` is for the audit.

    `base_url` is where the person's own server is that it is for.
    """
    row = Credential(
        id=new_id("crd"), user_id=user_id, provider=provider, name=name, version=1, created_at=now, base_url=base_url
    )
    _put(vault, row, key, state, now)
    tx.add(row)
    await record(tx, now, "credential.added", by, row.id, provider=provider, state=state)
    return row


async def replace_credential(
    tx: AsyncSession,
    vault: Vault,
    row: Credential,
    key: Secret,
    *,
    now: int,
    by: str,
    state: str = "unchecked",
    base_url: str = "",
) -> None:
    """Seals another key in the same row, so that apps keep working; nothing of the old one is left.

    Only with it can the address of a person's own server change: the key was entered for the address that it goes to.
    """
    row.version += 1
    moved = {"moved": True} if row.base_url != base_url else {}
    row.base_url = base_url
    _put(vault, row, key, state, now)
    await oauth_tokens.forget(tx, row.id)
    await record(tx, now, "credential.replaced", by, row.id, version=row.version, state=state, **moved)


async def remove_credential(tx: AsyncSession, row: Credential, *, now: int, by: str) -> bool:
    """Erases the key; apps that use it stop at once. False when there is none here to erase."""
    if row.removed_at is not None or row.source != credentials.STORED:
        return False
    await credentials.erase(tx, row, now)
    await record(tx, now, "credential.removed", by, row.id, provider=row.provider)
    return True


EnvironmentKey = Callable[[str], Secret | None]
"""The operator's key of a provider, by the provider's name, as the environment holds it now."""


def open_credential(vault: Vault, row: Credential | SealedKey, environment_key: EnvironmentKey) -> Secret | None:
    """The key itself; None when it was removed, or when the environment does not hold it now.

    Raises Unavailable when the sealed text does not open.
    """
    if row.removed_at is not None:
        return None
    if row.source == credentials.ENVIRONMENT:
        return environment_key(row.provider)
    return key_of(open_sealed(vault, row))


def open_sealed(vault: Vault, row: Credential | SealedKey) -> Secret:
    """All that is sealed in it: of tokens the refresh token, too."""
    return vault.open(row.sealed, credential_place(row))


async def add_tokens(
    tx: AsyncSession, vault: Vault, *, provider: str, tokens: Tokens, name: str, user_id: str | None, now: int, by: str
) -> Credential:
    """As `add_credential`, of a connected account."""
    row = await add_credential(
        tx, vault, provider=provider, key=pack(tokens), name=name, user_id=user_id, now=now, by=by, state="working"
    )
    row.prefix, row.last_four = "", tokens.access.hint()
    await tx.flush()
    tx.add(OAuthToken(credential_id=row.id, expires_at=tokens.expires_at))
    await tx.flush()
    return row


def reseal_tokens(vault: Vault, row: Credential, tokens: Tokens, now: int) -> None:
    """Puts new tokens into the place of the old ones; nothing of these is left."""
    row.version += 1
    _put(vault, row, pack(tokens), "working", now)
    row.prefix, row.last_four = "", tokens.access.hint()


async def find_same(
    tx: AsyncSession, vault: Vault, *, user_id: str | None, provider: str, key: Secret, base_url: str = ""
) -> Credential | None:
    """The row of this person (or of the operator) that holds this very key already, for the same address."""
    rows = await (credentials.of_operator(tx) if user_id is None else credentials.of_user(tx, user_id))
    here = (row for row in rows if row.provider == provider and row.base_url == base_url)
    same = (row for row in here if row.source == credentials.STORED)
    return next((row for row in same if vault.open(row.sealed, credential_place(row)) == key), None)


def _put(vault: Vault, row: Credential, key: Secret, state: str, now: int) -> None:
    row.sealed = vault.seal(key, credential_place(row))
    row.prefix, row.last_four = shown_prefix(key), key.hint()
    row.state, row.checked_at = state, None if state == "unchecked" else now
