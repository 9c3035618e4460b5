"""What an app calls the agent that it gave a token."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("access_token", sa.Column("name", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("access_token", "name")
