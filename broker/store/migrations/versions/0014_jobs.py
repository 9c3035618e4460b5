"""Work that goes on at providers after its call was answered."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "provider_job",
        sa.Column("reservation_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("most", INT64, nullable=False),
        sa.Column("most_input", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("due_at", INT64, nullable=False),
        sa.Column("pause", INT64, nullable=False),
        sa.Column("cancelled_at", INT64, nullable=True),
        sa.CheckConstraint("kind IN ('response', 'file', 'batch')", name=op.f("ck_provider_job_kind_known")),
        sa.PrimaryKeyConstraint("reservation_id", name=op.f("pk_provider_job")),
        sa.ForeignKeyConstraint(["reservation_id"], ["reservation.id"], name=op.f("fk_provider_job_reservation_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_provider_job_grant_id")),
        sa.ForeignKeyConstraint(["access_id"], ["access.id"], name=op.f("fk_provider_job_access_id")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_provider_job_credential_id")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_provider_job_digest"), "provider_job", ["digest"])


def downgrade() -> None:
    op.drop_table("provider_job")
