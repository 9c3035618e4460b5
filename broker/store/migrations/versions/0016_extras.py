"""What a call used besides plain tokens: sound, pictures, characters, seconds, searches."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reservation", sa.Column("extras", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("reservation", "extras")
