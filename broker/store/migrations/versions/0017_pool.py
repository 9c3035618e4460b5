"""Several credentials behind one access, credentials that rest, and the attempts of a call."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

STRATEGIES = "strategy IN ('', 'priority', 'round_robin', 'least_used', 'affinity')"
CAUSES = "cause IN ('rate_limited', 'refused', 'no_credit')"

_MOVE = "UPDATE change SET epoch = epoch + 1"


def _watch(table: str) -> None:
    """What is read of a token's worth is read anew after each change here, too."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    body = f"BEGIN {_MOVE}; END" if on_sqlite else "FOR EACH STATEMENT EXECUTE FUNCTION move_epoch()"
    for name, event in (("added", "INSERT"), ("changed", "UPDATE"), ("removed", "DELETE")):
        op.execute(f"CREATE TRIGGER epoch_{table}_{name} AFTER {event} ON {table} {body}")


def _strategy() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # Neither a CHECK by ALTER TABLE nor a copy of the table is to be had with others that refer to it.
        op.execute(
            f"ALTER TABLE access ADD COLUMN strategy TEXT NOT NULL DEFAULT '' CONSTRAINT ck_access_strategy_known CHECK ({STRATEGIES})"
        )
        return
    op.add_column("access", sa.Column("strategy", sa.Text(), nullable=False, server_default=""))
    op.create_check_constraint(op.f("ck_access_strategy_known"), "access", STRATEGIES)


def _spare_key() -> None:
    op.create_table(
        "spare_key",
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("priority", INT64, nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.CheckConstraint("priority >= 1", name=op.f("ck_spare_key_after_the_first")),
        sa.ForeignKeyConstraint(["access_id"], ["access.id"], name=op.f("fk_spare_key_access_id")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_spare_key_credential_id")),
        sa.PrimaryKeyConstraint("access_id", "priority", name=op.f("pk_spare_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_spare_key_credential_id", "spare_key", ["credential_id"], unique=False)


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("version", INT64, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("since", INT64, nullable=False),
        sa.Column("until", INT64, nullable=False),
        sa.CheckConstraint(CAUSES, name=op.f("ck_quarantine_cause_known")),
        sa.CheckConstraint("until > since", name=op.f("ck_quarantine_ends_later")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_quarantine_credential_id")),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_quarantine")),
        sqlite_strict=True,
    )


def _call_attempt() -> None:
    op.create_table(
        "call_attempt",
        sa.Column("reservation_id", sa.Text(), nullable=False),
        sa.Column("place", INT64, nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("started_at", INT64, nullable=False),
        sa.Column("ended_at", INT64, nullable=False),
        sa.Column("status", INT64, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.CheckConstraint("place >= 1", name=op.f("ck_call_attempt_counts")),
        sa.ForeignKeyConstraint(
            ["reservation_id"], ["reservation.id"], name=op.f("fk_call_attempt_reservation_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_call_attempt_credential_id")),
        sa.PrimaryKeyConstraint("reservation_id", "place", name=op.f("pk_call_attempt")),
        sqlite_strict=True,
    )


def upgrade() -> None:
    _strategy()
    _spare_key()
    _quarantine()
    _call_attempt()
    _watch("spare_key")
    _watch("quarantine")


def downgrade() -> None:
    for table in ("call_attempt", "quarantine", "spare_key"):
        op.drop_table(table)
    op.drop_column("access", "strategy")
