"""More dialects; and which of the known servers a provider is one of."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

BEFORE = ("openai", "anthropic", "google")
SINCE = (*BEFORE, "mistral", "cohere", "azure")
COLUMNS = "name, dialect, base_url, allow_fields, created_at"


def _known(dialects: tuple[str, ...]) -> str:
    return f"dialect IN ({', '.join(repr(name) for name in dialects)})"


def _write_anew(dialects: tuple[str, ...], *more: sa.Column[str]) -> None:
    """SQLite cannot change a constraint; the table has a row for each provider that the operator named."""
    op.rename_table("provider", "provider_before")
    op.create_table(
        "provider",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("allow_fields", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        *more,
        sa.CheckConstraint(_known(dialects), name=op.f("ck_provider_dialect_known")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_provider")),
        sqlite_strict=True,
    )
    # What speaks a dialect that is not known any more is no provider any more.
    op.execute(f"INSERT INTO provider ({COLUMNS}) SELECT {COLUMNS} FROM provider_before WHERE {_known(dialects)}")
    op.drop_table("provider_before")


def _kind() -> sa.Column[str]:
    return sa.Column("kind", sa.Text(), nullable=False, server_default="")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _write_anew(SINCE, _kind())
        return
    op.add_column("provider", _kind())
    op.drop_constraint(op.f("ck_provider_dialect_known"), "provider", type_="check")
    op.create_check_constraint(op.f("ck_provider_dialect_known"), "provider", _known(SINCE))


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _write_anew(BEFORE)
        return
    op.execute(f"DELETE FROM provider WHERE NOT {_known(BEFORE)}")
    op.drop_constraint(op.f("ck_provider_dialect_known"), "provider", type_="check")
    op.create_check_constraint(op.f("ck_provider_dialect_known"), "provider", _known(BEFORE))
    op.drop_column("provider", "kind")
