"""The books: counters, reservations, and the leases of the processes that hold them."""

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import SQLModel

from broker.store.columns import STRICT, check, flag, number, one_of, partial, text

SCOPES = ("access", "token", "credential", "tier", "provider")
MEASURES = ("money", "requests")
PERIOD_KINDS = ("grant", "day", "week", "month", "tier")
CALL_STATES = ("held", "settled", "released")
MARKS = ("", "not_run", "reported", "estimated", "unresolved")

BY_KEY = STRICT | {"sqlite_with_rowid": False}
"""Rows that are only ever found by their key stand in its index: half as many pages to write."""

NO_LIMIT = 2**62
"""The limit of a counter that only counts; above every sum of MAX_MONEY."""

LASTING = "boot_lasting"
"""The lease that never ends, of holds for work that goes on at a provider whatever becomes of our processes."""

RUNNING = "state = 'held'"
FAILED = "outcome <> '' AND outcome <> 'ok' AND outcome <> 'client_left'"
"""Of a call that began and did not end well: neither runs, nor ended well, nor was given up by the app itself."""


class Counter(SQLModel, table=True):
    """What one limit has settled and held in one period; limits themselves are judged here, in the write."""

    __table_args__ = (
        one_of("scope_kind", SCOPES),
        one_of("measure", MEASURES),
        one_of("period_kind", PERIOD_KINDS),
        check("settled >= 0 AND held >= 0 AND overrun >= 0 AND target >= 0", "not_negative"),
        check('settled + held <= "limit"', "within_limit"),
        STRICT,
    )

    scope_kind: str = text(primary_key=True)
    scope_id: str = text(primary_key=True)
    measure: str = text(primary_key=True)
    period_kind: str = text(primary_key=True)
    period_start: int = number(primary_key=True)
    """0 for a period that never rolls."""
    limit: int = number()
    """What is enforced: max(target, settled + held) while a lowered limit sinks."""
    target: int = number()
    """The figure typed; NO_LIMIT where there is none."""
    settled: int = number(default=0)
    held: int = number(default=0)
    overrun: int = number(default=0)


class Reservation(SQLModel, table=True):
    """One call in the ledger: held before the first byte to the provider, then settled or released, exactly once."""

    __table_args__ = (
        one_of("state", CALL_STATES),
        one_of("mark", MARKS),
        flag("streamed"),
        check("hold >= 0 AND cost >= 0 AND overrun >= 0 AND cost <= hold", "cost_within_hold"),
        check("(state = 'held') = (ended_at IS NULL)", "held_until_ended"),
        check("(state = 'held') = (mark = '')", "marked_when_ended"),
        check("state <> 'released' OR cost = 0", "released_costs_nothing"),
        # Every call writes to every index: this one leads to all that is asked of a grant's rows.
        Index("ix_reservation_access_id_admitted_at", "access_id", "admitted_at"),
        partial("ix_reservation_failed", "access_id", "admitted_at", where=FAILED),
        # Few rows are held at once: counting them and sweeping them must not read the whole ledger.
        partial("ix_reservation_held", "access_id", where=RUNNING),
        STRICT,
    )

    id: str = text(primary_key=True)
    grant_id: str = text(foreign_key="grant.id")
    access_id: str = text(foreign_key="access.id")
    jti: str = text()
    """Of its access token; no foreign key, for which each call would have to stand in one more index."""
    user_id: str = text(foreign_key="user.id")
    credential_id: str = text(foreign_key="credential.id")
    provider: str = text()
    model: str = text()
    action: str = text()
    streamed: int = number()
    state: str = text(default="held")
    mark: str = text(default="")
    hold: int = number()
    """The bound, in micro-dollars."""
    charged: str = text()
    """JSON array of the counter keys it was admitted under; a settlement in the next period goes to the old one."""
    price: str = text()
    """JSON: source, version, unit prices; read at the reservation, and what settles the call."""
    input_bound: int = number()
    output_bound: int = number()
    rate_tokens: int = number()
    """What tokens a minute count: the bound until settled, then the usage."""
    boot_id: str = text(foreign_key="boot.id")
    admitted_at: int = number()
    ended_at: int | None = number(default=None, nullable=True)
    cost: int = number(default=0)
    overrun: int = number(default=0)
    input_tokens: int = number(default=0)
    output_tokens: int = number(default=0)
    cached_input_tokens: int = number(default=0)
    cache_write_tokens: int = number(default=0)
    cache_write_long_tokens: int = number(default=0)
    extras: str = text(default="")
    """JSON: what else was counted, by the names of Extras; empty of most calls."""
    status: int = number(default=0)
    """The provider's HTTP status; 0 when none came."""
    outcome: str = text(default="")
    """How the call ended, in one word: ok, client_left, provider_error, revoked …"""
    reached: int = number(default=0)
    """1 once a byte may have reached the provider: then it counts in the rates even when it did not run."""


class IdempotencyKey(SQLModel, table=True):
    """What an app calls a request by that must run once; how its call stands, the reservation says."""

    __tablename__ = "idempotency_key"
    __table_args__ = (BY_KEY,)

    digest: str = text(primary_key=True)
    """Of the key and its grant."""
    body: str = text()
    """Digest of the request."""
    reservation_id: str = text()
    taken_at: int = number()


class UsageEntry(SQLModel, table=True):
    """What an ended call adds to the roll-ups, until it is folded into them; a trigger writes it with the ending.

    A truth that comes after the ending is an entry of its own, with the difference.
    """

    __tablename__ = "usage_entry"
    __table_args__ = (STRICT,)

    seq: int | None = number(primary_key=True, default=None)
    user_id: str = text()
    grant_id: str = text()
    access_id: str = text()
    model: str = text()
    admitted_at: int = number()
    calls: int = number()
    """1 for a call that ran, 0 for one that did not, and for a late truth."""
    input_tokens: int = number()
    output_tokens: int = number()
    cost: int = number()
    """Overrun included."""


class UsageQuarter(SQLModel, table=True):
    """The calls of an access to a model that were admitted in one UTC quarter-hour, without those of `usage_entry`."""

    __tablename__ = "usage_quarter"
    __table_args__ = (BY_KEY,)

    grant_id: str = text(primary_key=True)
    quarter: int = number(primary_key=True)
    """Its first microsecond."""
    access_id: str = text(primary_key=True)
    model: str = text(primary_key=True)
    calls: int = number()
    input_tokens: int = number()
    output_tokens: int = number()
    cost: int = number()
    last_at: int = number()
    """When the last of them was admitted."""


class SpendingQuarter(SQLModel, table=True):
    """What all grants of a user cost in one UTC quarter-hour, without the entries of `usage_entry`."""

    __tablename__ = "spending_quarter"
    __table_args__ = (BY_KEY,)

    user_id: str = text(primary_key=True)
    quarter: int = number(primary_key=True)
    cost: int = number()


class RateWindow(SQLModel, table=True):
    """The last minute of what has a limited rate, by the second, for brokers that share a database on PostgreSQL.

    Nothing is lost with a row: the reservations of that minute say the same.
    """

    __tablename__ = "rate_window"
    __table_args__ = (BY_KEY,)

    access_id: str = text(primary_key=True)
    jti: str = text(primary_key=True)
    """Of the token whose calls it counts; empty for those of the whole access."""
    version: str = text()
    """Of its access: another one's window is not believed."""
    usable_at: int = number()
    seconds: str = text()
    """JSON; empty until it is usable."""
    moved_at: int = number()


class ArchivedSum(SQLModel, table=True):
    """What the calls that went to an archive were charged to one counter: with the rows left, they are its sum."""

    __tablename__ = "archived_sum"
    __table_args__ = (BY_KEY,)

    scope_kind: str = text(primary_key=True)
    scope_id: str = text(primary_key=True)
    measure: str = text(primary_key=True)
    period_kind: str = text(primary_key=True)
    period_start: int = number(primary_key=True)
    calls: int = number()
    settled: int = number()
    overrun: int = number()


class Refusal(SQLModel, table=True):
    """A call refused with a valid token: what its owner sees under Recent requests; it costs nothing."""

    __table_args__ = (Index("ix_refusal_grant_id_at", "grant_id", "at"), STRICT)

    id: str = text(primary_key=True)
    grant_id: str = text(foreign_key="grant.id")
    at: int = number()
    provider: str = text()
    model: str = text()
    code: str = text()


class Boot(SQLModel, table=True):
    """One life of one worker process, with the lease that its heartbeat renews."""

    __table_args__ = (STRICT,)

    id: str = text(primary_key=True)
    started_at: int = number()
    lease_ends_at: int = number()
    ended_at: int | None = number(default=None, nullable=True)


class Change(SQLModel, table=True):
    """One row that counts the changes which may end running calls; each worker looks at it every half second."""

    __table_args__ = (check("id = 1", "one_row"), STRICT)

    id: int = number(primary_key=True)
    count: int = number(default=0)
    epoch: int = number(default=0, sa_column_kwargs={"server_default": sql("0")})
    """Moved on by a trigger with every change to what a token is worth, so that what was read of it may be kept."""
