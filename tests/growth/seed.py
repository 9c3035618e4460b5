"""Books that have grown: written by the database itself, a hundred thousand rows and more a second, and right to the cent."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from broker.core.clock import DAY, MINUTE
from broker.core.usage import Price, Rates, Tier
from broker.ledger.fold import QUARTER

PRICE = Price("test", "1", (Tier(-1, Rates(1_000_000, 2_000_000, 1_000_000, 1_000_000, 2_000_000)),))
"""A micro-dollar for each token read, two for each token written."""

HOLD = 5_000
USER = "usr_0000000000000000000001"


@dataclass(frozen=True, slots=True)
class Size:
    """`grants` of one person share `calls` evenly, over `days` until `now`; one grant in ten has ended."""

    grants: int
    calls: int
    now: int
    days: int = 80


def grant_id(number: int) -> str:
    return f"grt_{number:022d}"


def seed(path: Path, size: Size) -> None:
    """Fills a database that has a schema and no rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        connection.execute("BEGIN")
        for statement in (*_people(), *_grants(size), *_calls(size), *_sums(size)):
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _people() -> Iterator[str]:
    yield (
        "INSERT INTO user (id, pseudonym, email, role, password_hash, zone, created_at)"
        f" VALUES ('{USER}', 'person_1', 'ana@example.com', 'user', '-', 'Europe/Berlin', 1)"
    )
    yield (
        "INSERT INTO client (id, name, public, secret_digest, redirect_uris, origins, address, verified, created_at)"
        " VALUES ('cli_1', 'Acme Notes', 1, '', '[\"https://acme.example/callback\"]', '[]', '', 1, 1)"
    )
    yield (
        "INSERT INTO credential (id, user_id, provider, name, source, sealed, prefix, last_four, version, state, created_at)"
        f" VALUES ('crd_1', '{USER}', 'openai', 'Personal', 'stored', 'v1.a.b', 'sk-', '9f2A', 1, 'working', 1)"
    )
    yield "INSERT INTO boot VALUES ('boot', 1, 2, 2)"


def _counted(rows: int) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})"


def _grants(size: Size) -> Iterator[str]:
    begun, ended = size.now - size.days * DAY, size.now + 30 * DAY
    yield (
        'INSERT INTO "grant" (id, user_id, client_id, state, origin, created_at, changed_at, ended_at, ended_by)'
        f" {_counted(size.grants)} SELECT printf('grt_%022d', i), '{USER}', 'cli_1',"
        " CASE WHEN i % 10 = 9 THEN 'revoked' ELSE 'active' END, 'consent',"
        f" {begun} + i, {begun} + i, CASE WHEN i % 10 = 9 THEN {size.now} END, '' FROM n"
    )
    yield (
        "INSERT INTO access (id, grant_id, position, credential_id, provider, models, actions, budget, budget_per,"
        " requests_per_minute, ends_at, purpose, created_at)"
        f" {_counted(size.grants)} SELECT printf('acc_%022d', i), printf('grt_%022d', i), 0, 'crd_1', 'openai',"
        f" '[\"*\"]', '[\"chat\"]', 1000000000000, 'grant', 600, {ended}, '', {begun} FROM n"
    )
    yield (
        "INSERT INTO access_token (jti, grant_id, client_id, created_at, ends_at)"
        f" {_counted(size.grants)} SELECT printf('tok_%022d', i), printf('grt_%022d', i), 'cli_1', 1, {ended} FROM n"
    )


def _calls(size: Size) -> Iterator[str]:
    """In the order of time; one in a hundred broke off, and one did not run."""
    step = size.days * DAY // size.calls
    price = json.dumps(PRICE.to_dict())
    # With some digits of chance in front, ids come in no order, as in life.
    yield f"""
        INSERT INTO reservation (id, grant_id, access_id, jti, user_id, credential_id, provider, model, action, streamed,
            state, mark, hold, charged, price, input_bound, output_bound, rate_tokens, boot_id, admitted_at, ended_at,
            cost, overrun, input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, status, outcome, reached)
        {_counted(size.calls)},
        c(i, g, kind, read, written) AS (
            SELECT i, i % {size.grants}, CASE i % 100 WHEN 7 THEN 1 WHEN 8 THEN 2 ELSE 0 END, 100 + i % 900, i % 300 FROM n)
        SELECT 'res_' || lower(hex(randomblob(11))), printf('grt_%022d', g), printf('acc_%022d', g), printf('tok_%022d', g),
            '{USER}', 'crd_1', 'openai', CASE i % 3 WHEN 0 THEN 'gpt-4o-mini' WHEN 1 THEN 'gpt-4.1-mini' ELSE 'o3' END,
            'chat', i % 2,
            CASE kind WHEN 2 THEN 'released' ELSE 'settled' END,
            CASE kind WHEN 0 THEN 'reported' WHEN 1 THEN 'estimated' ELSE 'not_run' END,
            {HOLD},
            '[["access","' || printf('acc_%022d', g) || '","money","grant",0],["access","' || printf('acc_%022d', g)
                || '","requests","grant",0]]',
            '{price}', 1000, 2000, read + written, 'boot', {size.now - size.days * DAY} + i * {step},
            {size.now - size.days * DAY} + i * {step} + 900000,
            CASE kind WHEN 0 THEN read + 2 * written WHEN 1 THEN {HOLD} ELSE 0 END, 0,
            CASE kind WHEN 0 THEN read ELSE 0 END, CASE kind WHEN 0 THEN written ELSE 0 END, 0, 0,
            CASE kind WHEN 0 THEN 200 ELSE 0 END,
            CASE kind WHEN 0 THEN 'ok' WHEN 1 THEN 'broken' ELSE 'unreachable' END, 1
        FROM c"""
    yield (
        "INSERT INTO refusal (id, grant_id, at, provider, model, code)"
        f" {_counted(max(1, size.calls // 100))} SELECT printf('ref_%022d', i), printf('grt_%022d', i % {size.grants}),"
        f" {size.now} - i * {MINUTE}, 'openai', 'gpt-4o', 'rate_limited' FROM n"
    )


def _sums(size: Size) -> Iterator[str]:
    """Counters and roll-ups, as settling and folding leave them."""
    of_access = (
        "FROM access AS a LEFT JOIN reservation AS r ON r.access_id = a.id AND r.state = 'settled' GROUP BY a.id"
    )
    yield (
        "INSERT INTO counter SELECT 'access', a.id, 'money', 'grant', 0, a.budget, a.budget,"
        f" coalesce(sum(r.cost), 0), 0, 0 {of_access}"
    )
    yield (
        "INSERT INTO counter SELECT 'access', a.id, 'requests', 'grant', 0, 4611686018427387904, 4611686018427387904,"
        f" count(r.id), 0, 0 {of_access}"
    )
    quarter = f"admitted_at - admitted_at % {QUARTER}"
    yield (
        f"INSERT INTO usage_quarter SELECT grant_id, {quarter} AS q, access_id, model, sum(state = 'settled'),"
        " sum(input_tokens), sum(output_tokens), sum(cost), max(admitted_at) FROM reservation"
        " GROUP BY grant_id, q, access_id, model"
    )
    yield f"INSERT INTO spending_quarter SELECT user_id, {quarter} AS q, sum(cost) FROM reservation GROUP BY user_id, q"
