"""What the books ask of the store, in the words of both stores."""

from typing import NamedTuple

from broker.core.grant import GrantEvent, GrantState, sources
from broker.store.steps import Statement, inserting, reading, shared, updating

OTHERS = Statement("PRAGMA data_version", "", reads=True)
"""A number that another one's COMMIT changes, and ours does not. PostgreSQL has none: there, nothing is known to be as it was."""

LOOK = reading(
    "SELECT c.epoch, c.count, b.id, b.lease_ends_at FROM change AS c "
    "LEFT JOIN boot AS b ON b.id = ? AND b.ended_at IS NULL",
    "t",
)
"""The two numbers of changes, with a lease that has not been ended, or nothing beside them."""


class TokenRow(NamedTuple):
    jti: str
    ends_at: int
    caps: str | None
    grant_id: str
    state: str
    user_id: str
    client_id: str
    parent_jti: str | None


TOKENS = reading(
    "SELECT t.jti, t.ends_at, t.caps, t.grant_id, g.state, g.user_id, g.client_id, t.parent_jti FROM access_token AS t "
    'JOIN "grant" AS g ON g.id = t.grant_id JOIN "user" AS u ON u.id = g.user_id '
    "JOIN client AS c ON c.id = g.client_id LEFT JOIN token_family AS f ON f.id = t.family_id "
    "WHERE t.jti = ? AND t.revoked_at IS NULL AND f.revoked_at IS NULL "
    "AND u.disabled_at IS NULL AND c.removed_at IS NULL AND g.state IN ('active', 'paused', 'frozen')",
    "t",
)
"""TokenRow of a token that is worth something, but for its end."""


class AccessRow(NamedTuple):
    id: str
    grant_id: str
    provider: str
    models: str
    actions: str
    budget: int
    budget_per: str
    max_requests: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent: int | None
    max_output_tokens: int | None
    ends_at: int
    key_id: str
    key_user_id: str | None
    key_provider: str
    key_source: str
    key_sealed: str
    key_version: int
    key_state: str
    key_removed_at: int | None
    user_id: str
    anchor_day: int
    limit_kind: str | None
    """Of one limit above the access, None where it has none."""
    limit_id: str
    limit_budget: int | None
    limit_requests: int | None
    limit_per: str
    key_rests_until: int
    key_expires_at: int
    strategy: str
    key_base_url: str


def _accesses(keys: str, order: str) -> Statement:
    """Each access of a grant that was not ended, once for each credential that `keys` joins and each limit above it."""
    return reading(
        "SELECT a.id, a.grant_id, a.provider, a.models, a.actions, a.budget, a.budget_per, a.max_requests, "
        "a.requests_per_minute, a.tokens_per_minute, a.concurrent, a.max_output_tokens, a.ends_at, k.id AS key_id, "
        "k.user_id AS key_user_id, k.provider AS key_provider, k.source AS key_source, k.sealed AS key_sealed, "
        "k.version AS key_version, k.state AS key_state, k.removed_at AS key_removed_at, "
        "g.user_id, coalesce(t.anchor_day, 1) AS anchor_day, "
        "o.scope_kind AS limit_kind, o.scope_id AS limit_id, o.budget AS limit_budget, "
        "o.max_requests AS limit_requests, o.per AS limit_per, coalesce(q.until, 0) AS key_rests_until, "
        "coalesce(x.expires_at, 0) AS key_expires_at, a.strategy, k.base_url AS key_base_url "
        f'FROM access AS a JOIN "grant" AS g ON g.id = a.grant_id {keys} '
        "LEFT JOIN quarantine AS q ON q.credential_id = k.id AND q.version = k.version "
        "LEFT JOIN oauth_token AS x ON x.credential_id = k.id "
        "LEFT JOIN user_tier AS t ON t.user_id = g.user_id AND k.user_id IS NULL "
        "LEFT JOIN overall_limit AS o ON (o.scope_kind = 'provider' AND o.scope_id = a.provider) "
        "OR (o.scope_kind = 'tier' AND o.scope_id = t.tier) "
        "OR (o.scope_kind = 'credential' AND o.scope_id IN (g.user_id || '/' || k.id, '/' || k.id)) "
        f"WHERE a.grant_id = ? AND a.ended_at IS NULL ORDER BY a.position{order}",
        "t",
    )


ACCESSES = _accesses("JOIN credential AS k ON k.id = a.credential_id", "")
"""AccessRow of each access of a grant that was not ended, with its credential: one for each limit above it, or one.

A tier's allocation is of the operator's keys alone.
"""

SPARES = _accesses(
    "JOIN spare_key AS s ON s.access_id = a.id JOIN credential AS k ON k.id = s.credential_id", ", s.priority"
)
"""The same with the credentials after the first, by priority."""

_KEY = ("scope_kind", "scope_id", "measure", "period_kind", "period_start")
_FIGURES = ("limit", "target", "settled", "held", "overrun")
_KEY_TYPES, _FIGURE_TYPES = "ttttn", "nnnnn"
_KEY_IS = " AND ".join(f"c.{name} = ?" for name in _KEY)
_STANDS_AT = " AND ".join(f'"{name}" = ?' for name in (*_KEY, *_FIGURES))
_ALL = ", ".join(f'c."{name}"' for name in (*_KEY, *_FIGURES))

_ROWS = reading(f"SELECT {_ALL} FROM counter AS c WHERE {_KEY_IS}", _KEY_TYPES)
COUNTERS = Statement(
    _ROWS.sqlite,
    f"SELECT {_ALL} FROM counter AS c JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) "
    f"AS v({', '.join(_KEY)}) USING ({', '.join(_KEY)}) ORDER BY {', '.join(f'c.{name}' for name in _KEY)} FOR UPDATE OF c",
    reads=True,
)
"""On PostgreSQL they are locked, always in the same order, until COMMIT."""

MOVE_COUNTER = updating(
    "counter",
    '"limit" = ?, settled = ?, held = ?, overrun = ?',
    _STANDS_AT,
    "nnnn" + _KEY_TYPES + _FIGURE_TYPES,
    echo=0,
)
"""The check is the write: a counter moves only from the figures that were judged."""

NEW_COUNTER = inserting("counter", (*_KEY, *_FIGURES), _KEY_TYPES + _FIGURE_TYPES, once=True)

_HOLD_COLUMNS = (
    "id", "grant_id", "access_id", "jti", "user_id", "credential_id", "provider", "model", "action", "streamed", "hold",
    "charged", "price", "input_bound", "output_bound", "rate_tokens", "boot_id", "admitted_at",
)  # fmt: skip
_NOTHING_YET = (
    "cost", "overrun", "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens",
    "cache_write_long_tokens", "status", "reached",
)  # fmt: skip
HOLD = inserting(
    "reservation",
    _HOLD_COLUMNS,
    "tttttttttnnttnnntn",
    always={"state": "'held'", "mark": "''", "outcome": "''", "extras": "''"} | dict.fromkeys(_NOTHING_YET, "0"),
    waits=True,
)

HELD_COLUMNS = (
    "id", "state", "mark", "hold", "price", "charged", "rate_tokens", "cost", "overrun", "grant_id", "provider", "model",
    "admitted_at",
)  # fmt: skip
RESERVATIONS = reading(f"SELECT {', '.join(HELD_COLUMNS)} FROM reservation WHERE id = ?", "t")

END = updating(
    "reservation",
    "state = ?, mark = ?, ended_at = ?, cost = ?, overrun = ?, input_tokens = ?, output_tokens = ?, "
    "cached_input_tokens = ?, cache_write_tokens = ?, cache_write_long_tokens = ?, extras = ?, rate_tokens = ?, status = ?, "
    "outcome = ?, reached = ?",
    "id = ? AND state = 'held'",
    "ttnnnnnnnntnntnt",
    echo=15,
)
REPRICE = updating("reservation", "price = ?", "id = ?", "tt", echo=1)
"""What a call is paid for at, where a dearer model has answered than was asked for."""
TRUTH = updating("reservation", "mark = ?, overrun = ?, outcome = ?", "id = ? AND mark = 'unresolved'", "tntt", echo=3)
"""What is learnt of a call that the sweep has ended."""

IDEMPOTENCY_KEYS = reading(
    "SELECT k.digest, k.body, k.reservation_id, k.taken_at, coalesce(r.state, '') AS state, coalesce(r.mark, '') AS mark, "
    "coalesce(r.status, 0) AS status, coalesce(r.cost + r.overrun, 0) AS cost FROM idempotency_key AS k "
    "LEFT JOIN reservation AS r ON r.id = k.reservation_id WHERE k.digest = ?",
    "t",
)
"""With how the call stands that has it; one that is archived ended longer ago than any key is kept."""
NEW_KEY = inserting("idempotency_key", ("digest", "body", "reservation_id", "taken_at"), "tttn", once=True)
MOVE_KEY = updating(
    "idempotency_key",
    "body = ?, reservation_id = ?, taken_at = ?",
    "digest = ? AND reservation_id = ?",
    "ttntt",
    echo=3,
)
"""A key that is free again passes to another call only from the one that had it when it was judged."""
CHANGE_KEY = updating("reservation", "credential_id = ?, charged = ?", "id = ? AND state = 'held'", "ttt", echo=2)
"""The hold of a call goes on with another credential."""
ATTEMPT = inserting(
    "call_attempt",
    ("reservation_id", "place", "credential_id", "started_at", "ended_at", "status", "outcome"),
    "tntnnnt",
)
USED_OF_LATE = reading(
    "SELECT credential_id, count(*) AS calls FROM reservation WHERE access_id = ? AND admitted_at > ? GROUP BY credential_id",
    "tn",
)

_LIVE = ", ".join(f"'{state.value}'" for state in sources(GrantEvent.FREEZE))
FREEZE = updating(
    "grant", f"state = '{GrantState.FROZEN.value}', changed_at = ?", f"id = ? AND state IN ({_LIVE})", "nt", echo=1
)
_BUMP = "UPDATE change SET count = count + 1"
BUMP = Statement(_BUMP, _BUMP)

_SEEN = "admitted_at > ? AND (state <> 'released' OR reached = 1)"
"""A call that the provider saw counts here even if it did not run, and in no other limit."""
_SUMS = "count(*) AS calls, CAST(coalesce(sum(rate_tokens), 0) AS BIGINT) AS tokens, coalesce(min(admitted_at), 0) AS oldest"
_HELD = "state = 'held'"
"""Said as a constant, which is what lets SQLite answer from the index of the few rows that are held."""

_WINDOW = (
    "SELECT access_id, {jti} AS jti, max(admitted_at) AS at, count(*) AS calls, CAST(sum(rate_tokens) AS BIGINT) AS tokens "
    "FROM reservation WHERE {scope} AND " + _SEEN + " GROUP BY access_id, admitted_at / 1000000 "
    "UNION ALL SELECT access_id, {jti}, 0, count(*), 0 FROM reservation WHERE {scope} AND "
    + _HELD
    + " GROUP BY access_id"
)
_OF_TOKEN = (
    "jti IN (WITH RECURSIVE under(jti) AS (SELECT ? UNION SELECT t.jti FROM access_token AS t "
    "JOIN under AS u ON t.parent_jti = u.jti) SELECT jti FROM under) AND access_id = ?"
)
"""Its own calls, and those of all tokens that descend from it."""
WINDOW_OF_ACCESS = reading(_WINDOW.format(jti="''", scope="access_id = ?"), "tnt")
WINDOW_OF_TOKEN = reading(_WINDOW.format(jti="?", scope=_OF_TOKEN), "tttnttt")
"""The last minute in at most 61 rows, in any order, and one of the instant 0 with what runs, if anything does."""

_RECALL = (
    "SELECT a.id AS access_id, {jti} AS jti, a.xmin::text AS version, coalesce(w.version, '') AS kept_version, "
    "coalesce(w.usable_at, 0) AS usable_at, coalesce(w.seconds, '') AS seconds, "
    "CASE WHEN ? = 1 THEN (SELECT count(*) FROM reservation WHERE {scope} AND " + _HELD + ") ELSE 0 END AS running "
    "FROM access AS a LEFT JOIN rate_window AS w ON w.access_id = a.id AND w.jti = {jti} WHERE a.id = ?"
)
RECALL_ACCESS = shared(reading(_RECALL.format(jti="''", scope="access_id = a.id"), "nt"))
RECALL_TOKEN = shared(reading(_RECALL.format(jti="?", scope=_OF_TOKEN.removesuffix("?") + "a.id"), "tnttt"))
"""Recalled, of windows that are shared: what runs is counted where 1 is given, and only then."""

KEEP_WINDOW = shared(
    inserting(
        "rate_window",
        ("access_id", "jti", "version", "usable_at", "seconds", "moved_at"),
        "tttntn",
        waits=True,
    ),
    "ON CONFLICT (access_id, jti) DO UPDATE SET version = excluded.version, "
    "usable_at = excluded.usable_at, seconds = excluded.seconds, moved_at = excluded.moved_at",
)

MINUTE_OF_ACCESS = reading(f"SELECT {_SUMS} FROM reservation WHERE access_id = ? AND {_SEEN}", "tn")
MINUTE_OF_TOKEN = reading(f"SELECT {_SUMS} FROM reservation WHERE {_OF_TOKEN} AND {_SEEN}", "ttn")
_ROW = "SELECT admitted_at, rate_tokens FROM reservation WHERE"
ROWS_OF_ACCESS = reading(f"{_ROW} access_id = ? AND {_SEEN} ORDER BY admitted_at", "tn")
ROWS_OF_TOKEN = reading(f"{_ROW} {_OF_TOKEN} AND {_SEEN} ORDER BY admitted_at", "ttn")
