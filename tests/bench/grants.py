"""Many grants with a token each, made in one process: `python -m tests.bench.grants COUNT TOKENS_FILE` in their folder.

The first ones are made as `broker grant add` makes them; on SQLite the rest are copies of the rows of the last one under
names of their own, each with a token that was really signed.
"""

import asyncio
import sqlite3
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.cli.desk import Desk, at_desk
from broker.core.access import Access, Budget, RateLimit
from broker.core.clock import to_seconds
from broker.core.handle import new_id
from broker.core.money import MicroUSD
from broker.ledger.limits import open_access
from broker.oauth.issue import issue_access_token
from broker.oauth.signing import Signer, load_or_make_signing_keys
from broker.store import clients, credentials, grants, users
from broker.store.granting import Given, create_grant

WEEK = 7 * 86_400
MADE_ONE_BY_ONE = 10
_A_TRANSACTION = 100

EVERY_LIMIT = Access(
    provider="openai",
    models=("gpt-4o-mini",),
    actions=("chat",),
    budget=Budget(MicroUSD(10**11)),
    max_requests=10**9,
    rate_limit=RateLimit(requests_per_minute=10**7, tokens_per_minute=10**11, concurrent=10**5),
    max_output_tokens=4096,
    purpose="Measure what a call costs.",
)
"""So wide that nothing is refused, and yet each limit is judged at each call."""


@dataclass(frozen=True, slots=True)
class Owner:
    user_id: str
    client_id: str
    credential_id: str


async def make(desk: Desk, count: int) -> list[str]:
    """The tokens of `count` new grants."""
    vault, settings = await desk.vault(), desk.settings

    async def signer_of(tx: AsyncSession) -> Signer:
        return await load_or_make_signing_keys(tx, vault, desk.now(), settings)

    signer, owner = await desk.db.write(signer_of), await _owner(desk)
    one_by_one = count if settings.is_on_postgresql else min(count, MADE_ONE_BY_ONE)
    tokens: list[str] = []
    while len(tokens) < one_by_one:
        many = min(_A_TRANSACTION, one_by_one - len(tokens))
        tokens += await desk.db.write(partial(_add, desk=desk, signer=signer, owner=owner, many=many))
    if count > one_by_one:
        tokens += await asyncio.to_thread(_copies, desk, signer, count - one_by_one)
    return tokens


async def _owner(desk: Desk) -> Owner:
    async def read(tx: AsyncSession) -> Owner:
        person, app = (await users.listed(tx))[0], (await clients.all_live(tx))[0]
        return Owner(person.id, app.id, (await credentials.of_user(tx, person.id))[0].id)

    return await desk.db.read(read)


async def _add(tx: AsyncSession, desk: Desk, signer: Signer, owner: Owner, many: int) -> list[str]:
    now, tokens = desk.now(), []
    given = Given(owner.credential_id, replace(EVERY_LIMIT, expires_at=to_seconds(now) + WEEK))
    for _ in range(many):
        grant = await create_grant(tx, owner.user_id, owner.client_id, "operator", [given], now)
        for access in await grants.load_accesses(tx, grant.id):
            await open_access(tx, access, now)
        issued = await issue_access_token(tx, signer, desk.settings, grant, now=now, lifetime=WEEK)
        tokens.append(issued.token.reveal())
    return tokens


def _copies(desk: Desk, signer: Signer, count: int) -> list[str]:
    connection = sqlite3.connect(desk.settings.database_file)
    connection.row_factory = sqlite3.Row
    token = connection.execute("SELECT * FROM access_token ORDER BY rowid DESC LIMIT 1").fetchone()
    grant = connection.execute('SELECT * FROM "grant" WHERE id = ?', (token["grant_id"],)).fetchone()
    access = connection.execute("SELECT * FROM access WHERE grant_id = ?", (grant["id"],)).fetchone()
    counters = connection.execute("SELECT * FROM counter WHERE scope_id = ?", (access["id"],)).fetchall()
    tokens = []
    with connection:
        for _ in range(count):
            names = {"grant": new_id("grt"), "access": new_id("acc"), "token": new_id("tok")}
            _insert(connection, "grant", grant, id=names["grant"])
            _insert(connection, "access", access, id=names["access"], grant_id=names["grant"])
            for counter in counters:
                _insert(connection, "counter", counter, scope_id=names["access"])
            _insert(connection, "access_token", token, jti=names["token"], grant_id=names["grant"])
            claims, when = _claims(signer, dict(token), dict(grant), names), token["created_at"]
            tokens.append(signer.sign_access_token(claims, now=when, ends_at=token["ends_at"]))
    connection.close()
    return tokens


def _insert(connection: sqlite3.Connection, table: str, like: sqlite3.Row, **other: str) -> None:
    row = dict(like) | other
    columns = ", ".join(f'"{name}"' for name in row)
    connection.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({", ".join("?" * len(row))})', tuple(row.values()))


def _claims(signer: Signer, token: dict[str, Any], grant: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {
        "iss": signer.issuer,
        "sub": signer.subject(grant["user_id"], grant["client_id"]),
        "aud": signer.resource,
        "client_id": grant["client_id"],
        "iat": to_seconds(token["created_at"]),
        "exp": to_seconds(token["ends_at"]),
        "jti": names["token"],
        "grant_id": names["grant"],
    }


if __name__ == "__main__":
    wanted, where = int(sys.argv[1]), Path(sys.argv[2])
    where.write_text("\n".join(at_desk(lambda desk: make(desk, wanted))) + "\n")
