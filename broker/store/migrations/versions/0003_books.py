"""The books: counters and reservations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _counter() -> None:
    op.create_table(
        "counter",
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("period_kind", sa.Text(), nullable=False),
        sa.Column("period_start", INT64, nullable=False),
        sa.Column("limit", INT64, nullable=False),
        sa.Column("target", INT64, nullable=False),
        sa.Column("settled", INT64, nullable=False),
        sa.Column("held", INT64, nullable=False),
        sa.Column("overrun", INT64, nullable=False),
        sa.CheckConstraint("measure IN ('money', 'requests')", name=op.f("ck_counter_measure_known")),
        sa.CheckConstraint(
            "period_kind IN ('grant', 'day', 'week', 'month', 'tier')", name=op.f("ck_counter_period_kind_known")
        ),
        sa.CheckConstraint(
            "scope_kind IN ('access', 'token', 'credential', 'tier', 'provider')",
            name=op.f("ck_counter_scope_kind_known"),
        ),
        sa.CheckConstraint('settled + held <= "limit"', name=op.f("ck_counter_within_limit")),
        sa.CheckConstraint(
            "settled >= 0 AND held >= 0 AND overrun >= 0 AND target >= 0", name=op.f("ck_counter_not_negative")
        ),
        sa.PrimaryKeyConstraint(
            "scope_kind", "scope_id", "measure", "period_kind", "period_start", name=op.f("pk_counter")
        ),
        sqlite_strict=True,
    )


def _ending() -> list[sa.Column[Any]]:
    return [
        sa.Column("cost", INT64, nullable=False),
        sa.Column("overrun", INT64, nullable=False),
        sa.Column("input_tokens", INT64, nullable=False),
        sa.Column("output_tokens", INT64, nullable=False),
        sa.Column("cached_input_tokens", INT64, nullable=False),
        sa.Column("cache_write_tokens", INT64, nullable=False),
        sa.Column("status", INT64, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reached", INT64, nullable=False),
    ]


def _reservation() -> None:
    op.create_table(
        "reservation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("streamed", INT64, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("hold", INT64, nullable=False),
        sa.Column("charged", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("input_bound", INT64, nullable=False),
        sa.Column("output_bound", INT64, nullable=False),
        sa.Column("rate_tokens", INT64, nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("admitted_at", INT64, nullable=False),
        sa.Column("ended_at", INT64, nullable=True),
        *_ending(),
        sa.CheckConstraint("(state = 'held') = (ended_at IS NULL)", name=op.f("ck_reservation_held_until_ended")),
        sa.CheckConstraint("(state = 'held') = (mark = '')", name=op.f("ck_reservation_marked_when_ended")),
        sa.CheckConstraint(
            "mark IN ('', 'not_run', 'reported', 'estimated', 'unresolved')", name=op.f("ck_reservation_mark_known")
        ),
        sa.CheckConstraint("state <> 'released' OR cost = 0", name=op.f("ck_reservation_released_costs_nothing")),
        sa.CheckConstraint("state IN ('held', 'settled', 'released')", name=op.f("ck_reservation_state_known")),
        sa.CheckConstraint(
            "hold >= 0 AND cost >= 0 AND overrun >= 0 AND cost <= hold", name=op.f("ck_reservation_cost_within_hold")
        ),
        sa.CheckConstraint("streamed IN (0, 1)", name=op.f("ck_reservation_streamed_flag")),
        sa.ForeignKeyConstraint(["access_id"], ["access.id"], name=op.f("fk_reservation_access_id")),
        sa.ForeignKeyConstraint(["boot_id"], ["boot.id"], name=op.f("fk_reservation_boot_id")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_reservation_credential_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_reservation_grant_id")),
        sa.ForeignKeyConstraint(["jti"], ["access_token.jti"], name=op.f("fk_reservation_jti")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_reservation_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
        sqlite_strict=True,
    )


def _reservation_indexes() -> None:
    op.create_index("ix_reservation_access_id_admitted_at", "reservation", ["access_id", "admitted_at"], unique=False)
    op.create_index("ix_reservation_grant_id_admitted_at", "reservation", ["grant_id", "admitted_at"], unique=False)
    op.create_index("ix_reservation_jti_admitted_at", "reservation", ["jti", "admitted_at"], unique=False)
    held = sa.text("state = 'held'")
    op.create_index("ix_reservation_held", "reservation", ["access_id"], sqlite_where=held, postgresql_where=held)


def upgrade() -> None:
    _counter()
    _reservation()
    _reservation_indexes()


def downgrade() -> None:
    op.drop_table("reservation")
    op.drop_table("counter")
