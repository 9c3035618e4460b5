"""Limits above the grants, of a user's key, a tier and a provider; what changes them moves the epoch on."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

WATCHED = ("overall_limit", "user_tier")
EVENTS = {"changed": "UPDATE", "removed": "DELETE", "added": "INSERT"}


def _limits() -> None:
    op.create_table(
        "overall_limit",
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("budget", INT64, nullable=True),
        sa.Column("max_requests", INT64, nullable=True),
        sa.Column("per", sa.Text(), nullable=False),
        sa.Column("changed_at", INT64, nullable=False),
        sa.CheckConstraint(
            "scope_kind IN ('credential', 'tier', 'provider')", name=op.f("ck_overall_limit_scope_kind_known")
        ),
        sa.CheckConstraint("per IN ('grant', 'day', 'week', 'month', 'tier')", name=op.f("ck_overall_limit_per_known")),
        sa.CheckConstraint("budget >= 0 AND max_requests >= 0", name=op.f("ck_overall_limit_not_negative")),
        sa.CheckConstraint(
            "budget IS NOT NULL OR max_requests IS NOT NULL", name=op.f("ck_overall_limit_limits_something")
        ),
        sa.CheckConstraint("(scope_kind = 'tier') = (per = 'tier')", name=op.f("ck_overall_limit_tier_per_tier")),
        sa.PrimaryKeyConstraint("scope_kind", "scope_id", name=op.f("pk_overall_limit")),
        sqlite_strict=True,
    )


def _tiers() -> None:
    op.create_table(
        "user_tier",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("anchor_day", INT64, nullable=False),
        sa.CheckConstraint("anchor_day BETWEEN 1 AND 31", name=op.f("ck_user_tier_anchor_day_in_month")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_user_tier_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_tier")),
        sqlite_strict=True,
    )
    op.create_index("ix_user_tier_tier", "user_tier", ["tier"])


def _watch(table: str) -> None:
    for name, event in EVENTS.items():
        head = f'CREATE TRIGGER epoch_{table}_{name} AFTER {event} ON "{table}"'
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"{head} BEGIN UPDATE change SET epoch = epoch + 1; END")
        else:
            op.execute(f"{head} FOR EACH STATEMENT EXECUTE FUNCTION move_epoch()")


def upgrade() -> None:
    _limits()
    _tiers()
    for table in WATCHED:
        _watch(table)


def downgrade() -> None:
    for table in reversed(WATCHED):
        op.drop_table(table)
