"""Roll-ups by quarter-hour, sums of what was archived, and the indices that a ledger of many rows needs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

FAILED = "outcome <> '' AND outcome <> 'ok' AND outcome <> 'client_left'"

_ENDED = "NEW.state <> 'held' AND (OLD.state = 'held' OR NEW.cost <> OLD.cost OR NEW.overrun <> OLD.overrun)"

_SETTLED = "CASE WHEN {row}.state = 'settled' THEN 1 ELSE 0 END"

_NOTE = (
    "INSERT INTO usage_entry (user_id, grant_id, access_id, model, admitted_at, calls, input_tokens, output_tokens, cost)"
    " VALUES (NEW.user_id, NEW.grant_id, NEW.access_id, NEW.model, NEW.admitted_at,"
    f" {_SETTLED.format(row='NEW')} - {_SETTLED.format(row='OLD')},"
    " NEW.input_tokens - OLD.input_tokens, NEW.output_tokens - OLD.output_tokens,"
    " NEW.cost + NEW.overrun - OLD.cost - OLD.overrun);"
)

_QUARTER = "admitted_at - admitted_at % 900000000"

_OLD_USAGE = (
    "INSERT INTO usage_quarter"
    " (grant_id, quarter, access_id, model, calls, input_tokens, output_tokens, cost, last_at)"
    f" SELECT grant_id, {_QUARTER}, access_id, model, sum({_SETTLED.format(row='reservation')}),"
    " sum(input_tokens), sum(output_tokens), sum(cost + overrun), max(admitted_at)"
    f" FROM reservation WHERE state <> 'held' GROUP BY grant_id, {_QUARTER}, access_id, model"
)

_OLD_SPENDING = (
    "INSERT INTO spending_quarter (user_id, quarter, cost)"
    f" SELECT user_id, {_QUARTER}, sum(cost + overrun)"
    f" FROM reservation WHERE state <> 'held' GROUP BY user_id, {_QUARTER}"
)


def _entry() -> None:
    op.create_table(
        "usage_entry",
        sa.Column("seq", INT64, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("admitted_at", INT64, nullable=False),
        sa.Column("calls", INT64, nullable=False),
        sa.Column("input_tokens", INT64, nullable=False),
        sa.Column("output_tokens", INT64, nullable=False),
        sa.Column("cost", INT64, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_usage_entry")),
        sqlite_strict=True,
    )


def _quarters() -> None:
    op.create_table(
        "usage_quarter",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("quarter", INT64, nullable=False),
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("calls", INT64, nullable=False),
        sa.Column("input_tokens", INT64, nullable=False),
        sa.Column("output_tokens", INT64, nullable=False),
        sa.Column("cost", INT64, nullable=False),
        sa.Column("last_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "quarter", "access_id", "model", name=op.f("pk_usage_quarter")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spending_quarter",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("quarter", INT64, nullable=False),
        sa.Column("cost", INT64, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "quarter", name=op.f("pk_spending_quarter")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _archived() -> None:
    op.create_table(
        "archived_sum",
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("period_kind", sa.Text(), nullable=False),
        sa.Column("period_start", INT64, nullable=False),
        sa.Column("calls", INT64, nullable=False),
        sa.Column("settled", INT64, nullable=False),
        sa.Column("overrun", INT64, nullable=False),
        sa.PrimaryKeyConstraint(
            "scope_kind", "scope_id", "measure", "period_kind", "period_start", name=op.f("pk_archived_sum")
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _indexes() -> None:
    # Each of them was written to with every call; an access has few rows a minute, and a grant has few accesses.
    op.drop_index("ix_reservation_jti_admitted_at", "reservation")
    op.drop_index("ix_reservation_grant_id_admitted_at", "reservation")
    where = sa.text(FAILED)
    op.create_index(
        "ix_reservation_failed",
        "reservation",
        ["access_id", "admitted_at"],
        sqlite_where=where,
        postgresql_where=where,
    )
    sealed = sa.text("sealed_code <> ''")
    op.create_index("ix_grant_request_sealed", "grant_request", ["id"], sqlite_where=sealed, postgresql_where=sealed)


def _trigger() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER usage_noted AFTER UPDATE ON reservation WHEN {_ENDED} BEGIN {_NOTE} END")
        return
    op.execute(f"CREATE FUNCTION note_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_NOTE} RETURN NULL; END $$")
    op.execute(
        "CREATE TRIGGER usage_noted AFTER UPDATE ON reservation"
        f" FOR EACH ROW WHEN ({_ENDED}) EXECUTE FUNCTION note_usage()"
    )


def upgrade() -> None:
    _entry()
    _quarters()
    _archived()
    op.execute(_OLD_USAGE)
    op.execute(_OLD_SPENDING)
    _indexes()
    _trigger()


def downgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute("DROP TRIGGER usage_noted" + ("" if on_sqlite else " ON reservation"))
    if not on_sqlite:
        op.execute("DROP FUNCTION note_usage()")
    op.drop_index("ix_grant_request_sealed", "grant_request")
    op.drop_index("ix_reservation_failed", "reservation")
    op.create_index("ix_reservation_grant_id_admitted_at", "reservation", ["grant_id", "admitted_at"], unique=False)
    op.create_index("ix_reservation_jti_admitted_at", "reservation", ["jti", "admitted_at"], unique=False)
    for table in ("archived_sum", "spending_quarter", "usage_quarter", "usage_entry"):
        op.drop_table(table)
