"""What is kept at providers, and which grant made it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "provider_object",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("tokens", INT64, nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("ends_at", INT64, nullable=True),
        sa.CheckConstraint("kind IN ('response', 'file', 'batch')", name=op.f("ck_provider_object_kind_known")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_provider_object")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_provider_object_grant_id")),
        sa.ForeignKeyConstraint(["access_id"], ["access.id"], name=op.f("fk_provider_object_access_id")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_provider_object_credential_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_provider_object_grant_id", "provider_object", ["grant_id"])


def downgrade() -> None:
    op.drop_table("provider_object")
