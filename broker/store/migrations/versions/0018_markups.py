"""What the operator adds to prices; and prices of searches of the operator's own."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "markup",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("added", INT64, nullable=False),
        sa.CheckConstraint("added >= 0", name=op.f("ck_markup_not_negative")),
        sa.PrimaryKeyConstraint("provider", "models", "created_at", name=op.f("pk_markup")),
        sqlite_strict=True,
    )
    op.add_column("own_price", sa.Column("searches", INT64, nullable=True))


def downgrade() -> None:
    op.drop_column("own_price", "searches")
    op.drop_table("markup")
