"""Conversations among what is kept at providers."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

BEFORE = ("response", "file", "batch")
SINCE = (*BEFORE, "conversation")
OBJECT = "digest, provider, kind, grant_id, access_id, credential_id, model, tokens, facts, created_at, ends_at"


def _known(kinds: tuple[str, ...]) -> str:
    return f"kind IN ({', '.join(repr(kind) for kind in kinds)})"


def _write_anew(kinds: tuple[str, ...]) -> None:
    """SQLite cannot change a constraint."""
    op.drop_index("ix_provider_object_grant_id", "provider_object")
    op.rename_table("provider_object", "provider_object_before")
    op.create_table(
        "provider_object",
        sa.Column("digest", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in OBJECT.split(", ")[1:7]),
        sa.Column("tokens", INT64, nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("ends_at", INT64, nullable=True),
        sa.CheckConstraint(_known(kinds), name=op.f("ck_provider_object_kind_known")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_provider_object")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_provider_object_grant_id")),
        sa.ForeignKeyConstraint(["access_id"], ["access.id"], name=op.f("fk_provider_object_access_id")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_provider_object_credential_id")),
        sqlite_strict=True,
    )
    op.execute(
        f"INSERT INTO provider_object ({OBJECT}) SELECT {OBJECT} FROM provider_object_before WHERE {_known(kinds)}"
    )
    op.drop_table("provider_object_before")
    op.create_index("ix_provider_object_grant_id", "provider_object", ["grant_id"])


def _constrain(kinds: tuple[str, ...]) -> None:
    op.execute(f"DELETE FROM provider_object WHERE NOT {_known(kinds)}")
    op.drop_constraint(op.f("ck_provider_object_kind_known"), "provider_object", type_="check")
    op.create_check_constraint(op.f("ck_provider_object_kind_known"), "provider_object", _known(kinds))


def upgrade() -> None:
    (_write_anew if op.get_bind().dialect.name == "sqlite" else _constrain)(SINCE)


def downgrade() -> None:
    (_write_anew if op.get_bind().dialect.name == "sqlite" else _constrain)(BEFORE)
