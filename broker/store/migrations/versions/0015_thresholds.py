"""How near to its limit a counter has come, noted by the settlement that brought it there."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = ("scope_kind", "scope_id", "measure", "period_kind", "period_start", "limit", "percent")


def upgrade() -> None:
    op.create_table(
        "threshold",
        *(sa.Column(name, sa.Text(), nullable=False) for name in KEY[:4]),
        *(sa.Column(name, INT64, nullable=False) for name in (*KEY[4:], "used", "at")),
        sa.CheckConstraint("percent IN (50, 80, 100)", name=op.f("ck_threshold_percent_known")),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_threshold")),
        sqlite_strict=True,
    )
    op.create_index("ix_threshold_at", "threshold", ["at"])


def downgrade() -> None:
    op.drop_table("threshold")
