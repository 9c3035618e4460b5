"""Credentials that are tokens of a provider's own authorization server."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=False)


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, INT64, nullable=False)


def upgrade() -> None:
    op.create_table(
        "provider_oauth",
        *map(_text, ("provider", "authorize_url", "token_url", "client_id", "sealed_secret", "scopes")),
        _number("changed_at"),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_provider_oauth")),
        sqlite_strict=True,
    )
    op.create_table(
        "oauth_token",
        _text("credential_id"),
        _number("expires_at"),
        _text("lease"),
        _number("lease_ends_at"),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_oauth_token_credential_id")),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_oauth_token")),
        sqlite_strict=True,
    )
    op.create_table(
        "oauth_connect",
        *map(_text, ("digest", "user_id", "session_digest", "provider", "sealed_verifier")),
        _number("ends_at"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_oauth_connect_user_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_connect")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    for table in ("oauth_connect", "oauth_token", "provider_oauth"):
        op.drop_table(table)
