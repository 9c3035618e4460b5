"""Keys of people's own servers: where each of them is."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credential", sa.Column("base_url", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("credential", "base_url")
