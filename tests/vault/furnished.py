"""An installation with a sealed value in every column that has any, and a database that can be broken off at each step."""

from pathlib import Path
from typing import Any, TypeVar

from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.secret import Secret
from broker.store.database import Database, Work
from broker.store.grant_tables import Device, GrantRequest
from broker.store.tables import Client, Credential, SigningKey, User
from broker.store.token_tables import OAuthConnect, ProviderOAuth
from broker.vault.credentials import add_credential, open_sealed, replace_credential
from broker.vault.master_key import open_vault
from broker.vault.places import (
    EVERY,
    client_secret_place,
    code_place,
    signing_key_place,
    user_code_place,
    verifier_place,
)
from broker.vault.vault import Vault

T = TypeVar("T")
NOW = 1_795_266_300_000_000
SEALED = {
    "setting": 2,
    "credential": 1,
    "signing_key": 1,
    "grant_request": 1,
    "device": 1,
    "provider_oauth": 1,
    "oauth_connect": 1,
}


class Broken(Exception):
    """As if the process had died here."""


class Fuse:
    """Lets so many steps pass, and none after these."""

    def __init__(self) -> None:
        self.left: int | None = None

    def burn(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Broken
            self.left -= 1


class Fused(Database):
    """A database of which each writing transaction has a step before it and one behind."""

    fuse = Fuse()

    async def write(self, work: Work[T]) -> T:
        self.fuse.burn()
        done = await super().write(work)
        self.fuse.burn()
        return done


async def opened(db: Database, path: Path) -> Vault:
    return await db.write(lambda tx: open_vault(tx, path))


async def furnish(db: Database, vault: Vault) -> None:
    """A sealed value in every column that has any."""
    rows = _rows(vault)

    async def write(tx: AsyncSession) -> None:
        for row in rows:
            tx.add(row)
            await tx.flush()
        at: dict[str, Any] = {"now": NOW, "by": "operator", "base_url": "https://llm.example.com"}
        await add_credential(tx, vault, provider="openai", key=Secret("sk-of-ana"), name="-", user_id="usr_1", **at)

    await db.write(write)


def _rows(vault: Vault) -> list[SQLModel]:
    ana = User(id="usr_1", pseudonym="p1", email="a@example.test", role="user", password_hash="-", created_at=NOW)
    client = Client(id="cli_1", name="Notes", public=1, redirect_uris="[]", verified=1, created_at=NOW)
    asked: dict[str, Any] = {"redirect_uri": "https://x.test", "code_challenge": "-", "asked": "[]"}
    request = GrantRequest(id="req_1", client_id="cli_1", created_at=NOW, ends_at=NOW + 1, **asked)
    device = Device(
        digest="d1",
        user_code_digest="u1",
        request_id="req_1",
        client_id="cli_1",
        asked_from="-",
        claim="-",
        created_at=NOW,
        interval=5,
        ends_at=NOW + 1,
    )
    provider = ProviderOAuth(
        provider="x",
        authorize_url="-",
        token_url="-",
        client_id="-",
        changed_at=NOW,
        sealed_secret=vault.seal(Secret("client secret"), client_secret_place("x")),
    )
    connect = OAuthConnect(
        digest="c1",
        user_id="usr_1",
        session_digest="-",
        provider="x",
        ends_at=NOW + 1,
        sealed_verifier=vault.seal(Secret("verifier"), verifier_place("c1", "usr_1")),
    )
    key = SigningKey(
        kid="k1",
        algorithm="ES256",
        public_jwk="{}",
        created_at=NOW,
        sealed=vault.seal(Secret("private"), signing_key_place("k1")),
    )
    request.sealed_code = vault.seal(Secret("code"), code_place(request))
    device.sealed_user_code = vault.seal(Secret("letters"), user_code_place(device))
    return [ana, client, request, device, provider, connect, key]


async def values(db: Database, vault: Vault) -> dict[str, str]:
    """Every sealed value, opened, by table and row."""

    async def read(tx: AsyncSession) -> dict[str, str]:
        found: dict[str, str] = {}
        for each in EVERY:
            table: Any = each.column.table
            for row in (await tx.exec(select(table))).all():
                key, sealed = getattr(row, each.column.key), getattr(row, each.column.column)
                if sealed and (not each.column.only or key in each.column.only):
                    found[f"{table.__tablename__} {key}"] = vault.open(sealed, each.place(row)).reveal()
        return found

    return await db.read(read)


async def replace_key(tx: AsyncSession, vault: Vault, key: str) -> None:
    row = (await tx.exec(select(Credential))).one()
    await replace_credential(tx, vault, row, Secret(key), now=NOW, by="operator", base_url=row.base_url)


async def key_now(tx: AsyncSession, vault: Vault) -> str:
    return open_sealed(vault, (await tx.exec(select(Credential))).one()).reveal()
