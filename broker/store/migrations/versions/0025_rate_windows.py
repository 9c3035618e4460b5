"""The last minute of limited rates, by the second; on PostgreSQL outside its log, as reservations say the same."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "rate_window",
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("usable_at", INT64, nullable=False),
        sa.Column("seconds", sa.Text(), nullable=False),
        sa.Column("moved_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("access_id", "jti", name=op.f("pk_rate_window")),
        prefixes=["UNLOGGED"] if op.get_bind().dialect.name == "postgresql" else [],
        # Each transaction writes its rows anew: half a page is left for that.
        postgresql_with={"fillfactor": 50},
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("rate_window")
