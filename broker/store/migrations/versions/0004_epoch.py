"""An epoch that every change to what tokens are worth moves on, whoever makes the change.

PostgreSQL also tells whoever listens that something was taken away: `count` has moved on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

WATCHED = {
    "user": "disabled_at",
    "client": "removed_at",
    "grant": "state",
    "token_family": "revoked_at",
    "access_token": "revoked_at, ends_at, caps",
    "credential": None,
    "access": None,
}
"""Table → the columns whose update counts; all of them where None."""

_MOVE = "UPDATE change SET epoch = epoch + 1"


def _events(table: str, columns: str | None) -> list[tuple[str, str]]:
    events = [("changed", f"UPDATE OF {columns}" if columns else "UPDATE"), ("removed", "DELETE")]
    # A new access widens a grant that is there already; any other new row is nobody's yet.
    return [*events, ("added", "INSERT")] if table == "access" else events


def _on_sqlite(table: str, name: str, event: str) -> None:
    op.execute(f'CREATE TRIGGER epoch_{table}_{name} AFTER {event} ON "{table}" BEGIN {_MOVE}; END')


def _on_postgresql(table: str, name: str, event: str) -> None:
    body = "FOR EACH STATEMENT EXECUTE FUNCTION move_epoch()"
    op.execute(f'CREATE TRIGGER epoch_{table}_{name} AFTER {event} ON "{table}" {body}')


def _tell() -> None:
    notify = "BEGIN PERFORM pg_notify('broker_change', ''); RETURN NULL; END"
    op.execute(f"CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$ {notify} $$")
    op.execute(
        "CREATE TRIGGER change_told AFTER UPDATE OF count ON change FOR EACH STATEMENT EXECUTE FUNCTION tell_change()"
    )


def upgrade() -> None:
    op.add_column("change", sa.Column("epoch", INT64, nullable=False, server_default=sa.text("0")))
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    if not on_sqlite:
        op.execute(
            f"CREATE FUNCTION move_epoch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_MOVE}; RETURN NULL; END $$"
        )
        _tell()
    for table, columns in WATCHED.items():
        for name, event in _events(table, columns):
            (_on_sqlite if on_sqlite else _on_postgresql)(table, name, event)


def downgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, columns in WATCHED.items():
        for name, _ in _events(table, columns):
            op.execute(f"DROP TRIGGER epoch_{table}_{name}" + ("" if on_sqlite else f' ON "{table}"'))
    if not on_sqlite:
        op.execute("DROP FUNCTION move_epoch()")
        op.execute("DROP TRIGGER change_told ON change")
        op.execute("DROP FUNCTION tell_change()")
    op.drop_column("change", "epoch")
