"""People, keys, and what the server itself remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sqlite_strict=True,
    )
    op.create_index("ix_attempt_key_at", "attempt", ["key", "at"], unique=False)


def _audit_entry() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("seq", INT64, nullable=False),
        sa.Column("at", INT64, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entry")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_audit_entry_object_id"), "audit_entry", ["object_id"], unique=False)


def _boot() -> None:
    op.create_table(
        "boot",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("started_at", INT64, nullable=False),
        sa.Column("lease_ends_at", INT64, nullable=False),
        sa.Column("ended_at", INT64, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boot")),
        sqlite_strict=True,
    )


def _change() -> None:
    op.create_table(
        "change",
        sa.Column("id", INT64, nullable=False),
        sa.Column("count", INT64, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_change_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
        sqlite_strict=True,
    )


def _own_price() -> None:
    op.create_table(
        "own_price",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("input", INT64, nullable=False),
        sa.Column("output", INT64, nullable=False),
        sa.CheckConstraint("input >= 0 AND output >= 0", name=op.f("ck_own_price_not_negative")),
        sa.PrimaryKeyConstraint("provider", "model", "created_at", name=op.f("pk_own_price")),
        sqlite_strict=True,
    )


def _provider() -> None:
    op.create_table(
        "provider",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("allow_fields", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.CheckConstraint("dialect IN ('openai', 'anthropic', 'google')", name=op.f("ck_provider_dialect_known")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_provider")),
        sqlite_strict=True,
    )


def _setting() -> None:
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
        sqlite_strict=True,
    )


def _signing_key() -> None:
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("retired_at", INT64, nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
        sqlite_strict=True,
    )


def _user() -> None:
    op.create_table(
        "user",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("disabled_at", INT64, nullable=True),
        sa.CheckConstraint("role IN ('user', 'developer', 'admin', 'auditor')", name=op.f("ck_user_role_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("email", name=op.f("uq_user_email")),
        sa.UniqueConstraint("pseudonym", name=op.f("uq_user_pseudonym")),
        sqlite_strict=True,
    )


def _credential() -> None:
    op.create_table(
        "credential",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("last_four", sa.Text(), nullable=False),
        sa.Column("version", INT64, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("checked_at", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("removed_at", INT64, nullable=True),
        sa.CheckConstraint(
            "(source = 'stored') = (sealed <> '') OR removed_at IS NOT NULL",
            name=op.f("ck_credential_sealed_when_stored"),
        ),
        sa.CheckConstraint("source IN ('stored', 'environment')", name=op.f("ck_credential_source_known")),
        sa.CheckConstraint("state IN ('unchecked', 'working', 'refused')", name=op.f("ck_credential_state_known")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_credential_version_counts")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_credential_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_credential_user_id"), "credential", ["user_id"], unique=False)


def _session() -> None:
    op.create_table(
        "session",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("seen_at", INT64, nullable=False),
        sa.Column("ends_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_session_user_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_session")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_session_user_id"), "session", ["user_id"], unique=False)


def upgrade() -> None:
    _attempt()
    _audit_entry()
    _boot()
    _change()
    _own_price()
    _provider()
    _setting()
    _signing_key()
    _user()
    _credential()
    _session()
    op.execute("INSERT INTO change (id, count) VALUES (1, 0)")


def downgrade() -> None:
    op.drop_table("session")
    op.drop_table("credential")
    op.drop_table("user")
    op.drop_table("signing_key")
    op.drop_table("setting")
    op.drop_table("provider")
    op.drop_table("own_price")
    op.drop_table("change")
    op.drop_table("boot")
    op.drop_table("audit_entry")
    op.drop_table("attempt")
