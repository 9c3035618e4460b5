"""Clients, what they asked for, what they were granted, and their tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _client() -> None:
    op.create_table(
        "client",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public", INT64, nullable=False),
        sa.Column("secret_digest", sa.Text(), nullable=False),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("origins", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("verified", INT64, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("removed_at", INT64, nullable=True),
        sa.CheckConstraint("public IN (0, 1)", name=op.f("ck_client_public_flag")),
        sa.CheckConstraint("verified IN (0, 1)", name=op.f("ck_client_verified_flag")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
        sqlite_strict=True,
    )


def _grant() -> None:
    op.create_table(
        "grant",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("changed_at", INT64, nullable=False),
        sa.Column("ended_at", INT64, nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=False),
        sa.CheckConstraint("origin IN ('consent', 'operator')", name=op.f("ck_grant_origin_known")),
        sa.CheckConstraint(
            "state IN ('active', 'paused', 'frozen', 'revoked', 'expired')", name=op.f("ck_grant_state_known")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_grant_client_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_grant_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_grant_client_id"), "grant", ["client_id"], unique=False)
    op.create_index("ix_grant_user_id_client_id", "grant", ["user_id", "client_id"], unique=False)


def _access() -> None:
    op.create_table(
        "access",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("position", INT64, nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("budget", INT64, nullable=False),
        sa.Column("budget_per", sa.Text(), nullable=False),
        sa.Column("max_requests", INT64, nullable=True),
        sa.Column("requests_per_minute", INT64, nullable=True),
        sa.Column("tokens_per_minute", INT64, nullable=True),
        sa.Column("concurrent", INT64, nullable=True),
        sa.Column("max_output_tokens", INT64, nullable=True),
        sa.Column("ends_at", INT64, nullable=False),
        sa.Column("locations", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("ended_at", INT64, nullable=True),
        sa.CheckConstraint("budget_per IN ('grant', 'day', 'week', 'month')", name=op.f("ck_access_budget_per_known")),
        sa.CheckConstraint("budget >= 0 AND position >= 0", name=op.f("ck_access_not_negative")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_access_credential_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_access_grant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access")),
        sa.UniqueConstraint("grant_id", "position", name=op.f("uq_access_grant_id_position")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_access_credential_id"), "access", ["credential_id"], unique=False)


def _grant_request() -> None:
    op.create_table(
        "grant_request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("pushed_digest", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("client_state", sa.Text(), nullable=True),
        sa.Column("code_challenge", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("opened_at", INT64, nullable=True),
        sa.Column("ends_at", INT64, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("decided_at", INT64, nullable=True),
        sa.Column("grant_id", sa.Text(), nullable=True),
        sa.Column("granted", sa.Text(), nullable=False),
        sa.Column("sealed_code", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(state = 'approved') = (grant_id IS NOT NULL)", name=op.f("ck_grant_request_approved_has_grant")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'denied', 'expired')", name=op.f("ck_grant_request_state_known")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_grant_request_client_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_grant_request_grant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_grant_request_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_request")),
        sa.UniqueConstraint("pushed_digest", name=op.f("uq_grant_request_pushed_digest")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_grant_request_client_id"), "grant_request", ["client_id"], unique=False)
    op.create_index(op.f("ix_grant_request_user_id"), "grant_request", ["user_id"], unique=False)


def _refusal() -> None:
    op.create_table(
        "refusal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("at", INT64, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_refusal_grant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusal")),
        sqlite_strict=True,
    )
    op.create_index("ix_refusal_grant_id_at", "refusal", ["grant_id", "at"], unique=False)


def _token_family() -> None:
    op.create_table(
        "token_family",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("revoked_at", INT64, nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_token_family_client_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_token_family_grant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_family")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_token_family_grant_id"), "token_family", ["grant_id"], unique=False)


def _access_token() -> None:
    op.create_table(
        "access_token",
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("family_id", sa.Text(), nullable=True),
        sa.Column("parent_jti", sa.Text(), nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("ends_at", INT64, nullable=False),
        sa.Column("caps", sa.Text(), nullable=True),
        sa.Column("revoked_at", INT64, nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_access_token_client_id")),
        sa.ForeignKeyConstraint(["family_id"], ["token_family.id"], name=op.f("fk_access_token_family_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_access_token_grant_id")),
        sa.ForeignKeyConstraint(["parent_jti"], ["access_token.jti"], name=op.f("fk_access_token_parent_jti")),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_access_token")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_access_token_family_id"), "access_token", ["family_id"], unique=False)
    op.create_index(op.f("ix_access_token_grant_id"), "access_token", ["grant_id"], unique=False)
    op.create_index(op.f("ix_access_token_parent_jti"), "access_token", ["parent_jti"], unique=False)


def _code() -> None:
    op.create_table(
        "code",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.Text(), nullable=False),
        sa.Column("ends_at", INT64, nullable=False),
        sa.Column("used_at", INT64, nullable=True),
        sa.Column("family_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_code_client_id")),
        sa.ForeignKeyConstraint(["family_id"], ["token_family.id"], name=op.f("fk_code_family_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_code_grant_id")),
        sa.ForeignKeyConstraint(["request_id"], ["grant_request.id"], name=op.f("fk_code_request_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_code")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_code_grant_id"), "code", ["grant_id"], unique=False)
    op.create_index(op.f("ix_code_request_id"), "code", ["request_id"], unique=False)


def _refresh_token() -> None:
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("family_id", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("ends_at", INT64, nullable=False),
        sa.Column("rotated_at", INT64, nullable=True),
        sa.Column("successor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["family_id"], ["token_family.id"], name=op.f("fk_refresh_token_family_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_token")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_refresh_token_family_id"), "refresh_token", ["family_id"], unique=False)


def upgrade() -> None:
    _client()
    _grant()
    _access()
    _grant_request()
    _refusal()
    _token_family()
    _access_token()
    _code()
    _refresh_token()


def downgrade() -> None:
    op.drop_table("refresh_token")
    op.drop_table("code")
    op.drop_table("access_token")
    op.drop_table("token_family")
    op.drop_table("refusal")
    op.drop_table("grant_request")
    op.drop_table("access")
    op.drop_table("grant")
    op.drop_table("client")
