"""Who paused a grant: what the operator paused, its user cannot resume."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_LAST = (
    "SELECT actor FROM audit_entry WHERE event = 'grant.paused' AND object_id = \"grant\".id ORDER BY seq DESC LIMIT 1"
)


def upgrade() -> None:
    op.add_column("grant", sa.Column("paused_by", sa.Text(), nullable=False, server_default=""))
    # Of those that are paused now, the trail says it.
    op.execute(f"UPDATE \"grant\" SET paused_by = COALESCE(({_LAST}), '') WHERE state = 'paused'")


def downgrade() -> None:
    op.drop_column("grant", "paused_by")
