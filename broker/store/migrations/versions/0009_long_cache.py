"""What was written to a provider's cache for an hour, which has a price of its own; an operator's prices for cached input."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

OWN_PRICES = ("cached_input", "cache_write", "cache_write_long")


def upgrade() -> None:
    written = sa.Column("cache_write_long_tokens", INT64, nullable=False, server_default="0")
    op.add_column("reservation", written)
    for name in OWN_PRICES:
        op.add_column("own_price", sa.Column(name, INT64, nullable=True))


def downgrade() -> None:
    for name in OWN_PRICES:
        op.drop_column("own_price", name)
    op.drop_column("reservation", "cache_write_long_tokens")
