"""What clients say of themselves, key-bound tokens, devices, receipts, and what was seen once and may not be seen again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

ADDED: dict[str, dict[str, str | tuple[str, ...] | int | None]] = {
    "client": {
        "auth_method": ("none", "client_secret", "client_secret_basic", "client_secret_post", "private_key_jwt"),
        "source": ("operator", "registration", "document"),
        "jwks": "",
        "jwks_uri": "",
        "grant_types": "[]",
        "details_types": "[]",
        "registered": "{}",
        "registration_digest": "",
        "require_pushed": 0,
        "dpop_bound": 0,
        "fapi2": 0,
        "used_at": None,
        "fresh_until": None,
    },
    "grant_request": {
        "kind": ("code", "device"),
        "action": ("", "create", "replace", "merge"),
        "asked_grant_id": "",
        "dpop_jkt": "",
        "details_type": ("ai_model_access", "llm-inference"),
    },
    "grant": {"dpop_required": 0},
    "token_family": {"dpop_jkt": "", "details_type": ("ai_model_access", "llm-inference")},
    "access_token": {"dpop_jkt": ""},
    "signing_key": {"purpose": ("token", "receipt"), "signs_at": "instant"},
}
"""Table → column → its default: a text, one of some texts (the first), 0 for a flag, None for an instant not yet there."""


def _type(table: str, column: str, default: str | tuple[str, ...] | int | None) -> str:
    number = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    if default is None:
        return number
    if default == "instant":
        return f"{number} NOT NULL DEFAULT 0"
    if default == 0:
        return f"{number} NOT NULL DEFAULT 0 CONSTRAINT ck_{table}_{column}_flag CHECK ({column} IN (0, 1))"
    if isinstance(default, tuple):
        listed = ", ".join(f"'{value}'" for value in default)
        rule = f"CONSTRAINT ck_{table}_{column}_known CHECK ({column} IN ({listed}))"
        return f"TEXT NOT NULL DEFAULT '{default[0]}' {rule}"
    return f"TEXT NOT NULL DEFAULT '{default}'"


def _device() -> None:
    op.create_table(
        "device",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("user_code_digest", sa.Text(), nullable=False),
        sa.Column("sealed_user_code", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("asked_from", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("interval", INT64, nullable=False),
        sa.Column("polled_at", INT64, nullable=True),
        sa.Column("ends_at", INT64, nullable=False),
        sa.Column("used_at", INT64, nullable=True),
        sa.Column("family_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_device")),
        sa.UniqueConstraint("user_code_digest", name=op.f("uq_device_user_code_digest")),
        sa.UniqueConstraint("request_id", name=op.f("uq_device_request_id")),
        sa.ForeignKeyConstraint(["request_id"], ["grant_request.id"], name=op.f("fk_device_request_id")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_device_client_id")),
        sa.ForeignKeyConstraint(["family_id"], ["token_family.id"], name=op.f("fk_device_family_id")),
        sqlite_strict=True,
    )


def _receipt() -> None:
    op.create_table(
        "consent_receipt",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("signed", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_receipt")),
        sa.UniqueConstraint("request_id", name=op.f("uq_consent_receipt_request_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_consent_receipt_grant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_consent_receipt_user_id")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_consent_receipt_client_id")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_consent_receipt_grant_id"), "consent_receipt", ["grant_id"])


def _seen() -> None:
    op.create_table(
        "seen",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("ends_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_seen")),
        sqlite_strict=True,
    )


def upgrade() -> None:
    for table, columns in ADDED.items():
        for column, default in columns.items():
            op.execute(f'ALTER TABLE "{table}" ADD COLUMN {column} {_type(table, column, default)}')
    op.execute("UPDATE client SET auth_method = 'client_secret' WHERE public = 0")
    _device()
    _receipt()
    _seen()


def downgrade() -> None:
    for table in ("seen", "consent_receipt", "device"):
        op.drop_table(table)
    for table, columns in ADDED.items():
        for column in columns:
            op.execute(f'ALTER TABLE "{table}" DROP COLUMN {column}')
