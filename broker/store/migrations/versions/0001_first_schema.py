"""The first schema."""

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


def _counter() -> None:
    op.create_table(
        "counter",
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("period_kind", sa.Text(), nullable=False),
        sa.Column("period_start", INT64, nullable=False),
        sa.Column("limit", INT64, nullable=False),
        sa.Column("target", INT64, nullable=False),
        sa.Column("settled", INT64, nullable=False),
        sa.Column("held", INT64, nullable=False),
        sa.Column("overrun", INT64, nullable=False),
        sa.CheckConstraint("measure IN ('money', 'requests')", name=op.f("ck_counter_measure_known")),
        sa.CheckConstraint(
            "period_kind IN ('grant', 'day', 'week', 'month', 'tier')", name=op.f("ck_counter_period_kind_known")
        ),
        sa.CheckConstraint(
            "scope_kind IN ('access', 'token', 'credential', 'tier', 'provider')",
            name=op.f("ck_counter_scope_kind_known"),
        ),
        sa.CheckConstraint('settled + held <= "limit"', name=op.f("ck_counter_within_limit")),
        sa.CheckConstraint(
            "settled >= 0 AND held >= 0 AND overrun >= 0 AND target >= 0", name=op.f("ck_counter_not_negative")
        ),
        sa.PrimaryKeyConstraint(
            "scope_kind", "scope_id", "measure", "period_kind", "period_start", name=op.f("pk_counter")
        ),
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


def _reservation() -> None:
    op.create_table(
        "reservation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("streamed", INT64, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("hold", INT64, nullable=False),
        sa.Column("charged", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("input_bound", INT64, nullable=False),
        sa.Column("output_bound", INT64, nullable=False),
        sa.Column("rate_tokens", INT64, nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("admitted_at", INT64, nullable=False),
        sa.Column("ended_at", INT64, nullable=True),
        sa.Column("cost", INT64, nullable=False),
        sa.Column("overrun", INT64, nullable=False),
        sa.Column("input_tokens", INT64, nullable=False),
        sa.Column("output_tokens", INT64, nullable=False),
        sa.Column("cached_input_tokens", INT64, nullable=False),
        sa.Column("cache_write_tokens", INT64, nullable=False),
        sa.Column("status", INT64, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reached", INT64, nullable=False),
        sa.CheckConstraint("(state = 'held') = (ended_at IS NULL)", name=op.f("ck_reservation_held_until_ended")),
        sa.CheckConstraint("(state = 'held') = (mark = '')", name=op.f("ck_reservation_marked_when_ended")),
        sa.CheckConstraint(
            "mark IN ('', 'not_run', 'reported', 'estimated', 'unresolved')", name=op.f("ck_reservation_mark_known")
        ),
        sa.CheckConstraint("state <> 'released' OR cost = 0", name=op.f("ck_reservation_released_costs_nothing")),
        sa.CheckConstraint("state IN ('held', 'settled', 'released')", name=op.f("ck_reservation_state_known")),
        sa.CheckConstraint(
            "hold >= 0 AND cost >= 0 AND overrun >= 0 AND cost <= hold", name=op.f("ck_reservation_cost_within_hold")
        ),
        sa.CheckConstraint("streamed IN (0, 1)", name=op.f("ck_reservation_streamed_flag")),
        sa.ForeignKeyConstraint(["access_id"], ["access.id"], name=op.f("fk_reservation_access_id")),
        sa.ForeignKeyConstraint(["boot_id"], ["boot.id"], name=op.f("fk_reservation_boot_id")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_reservation_credential_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_reservation_grant_id")),
        sa.ForeignKeyConstraint(["jti"], ["access_token.jti"], name=op.f("fk_reservation_jti")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_reservation_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
        sqlite_strict=True,
    )
    op.create_index("ix_reservation_access_id_admitted_at", "reservation", ["access_id", "admitted_at"], unique=False)
    op.create_index("ix_reservation_grant_id_admitted_at", "reservation", ["grant_id", "admitted_at"], unique=False)
    op.create_index("ix_reservation_jti_admitted_at", "reservation", ["jti", "admitted_at"], unique=False)
    op.create_index("ix_reservation_held", "reservation", ["access_id"], sqlite_where=sa.text("state = 'held'"))


def upgrade() -> None:
    _attempt()
    _audit_entry()
    _boot()
    _change()
    _client()
    _counter()
    _own_price()
    _provider()
    _setting()
    _signing_key()
    _user()
    _credential()
    _grant()
    _session()
    _access()
    _grant_request()
    _refusal()
    _token_family()
    _access_token()
    _code()
    _refresh_token()
    _reservation()
    op.execute("INSERT INTO change (id, count) VALUES (1, 0)")


def downgrade() -> None:
    op.drop_table("reservation")
    op.drop_table("refresh_token")
    op.drop_table("code")
    op.drop_table("access_token")
    op.drop_table("token_family")
    op.drop_table("refusal")
    op.drop_table("grant_request")
    op.drop_table("access")
    op.drop_table("session")
    op.drop_table("grant")
    op.drop_table("credential")
    op.drop_table("user")
    op.drop_table("signing_key")
    op.drop_table("setting")
    op.drop_table("provider")
    op.drop_table("own_price")
    op.drop_table("counter")
    op.drop_table("client")
    op.drop_table("change")
    op.drop_table("boot")
    op.drop_table("audit_entry")
    op.drop_table("attempt")
