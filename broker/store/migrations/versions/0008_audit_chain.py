"""Audit entries form a chain of digests, and may be neither changed nor deleted."""

import json
from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SAY_NO = "An audit entry stays as it is."
_COLUMNS = "seq, at, event, actor, object_id, details"


def _chain() -> None:
    """Numbers and links what was recorded before there was a chain."""
    connection = op.get_bind()
    digest, rows = "", connection.execute(sa.text(f"SELECT {_COLUMNS} FROM audit_entry ORDER BY seq")).all()
    changed = sa.text("UPDATE audit_entry SET seq = :new, digest = :digest WHERE seq = :old")
    for seq, (old, *said) in enumerate(rows, 1):
        covered = json.dumps([digest, seq, *said], separators=(",", ":"))
        digest = sha256(covered.encode()).hexdigest()
        connection.execute(changed, {"new": seq, "old": old, "digest": digest})


def _keep() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_kept_{event.lower()} BEFORE {event} ON audit_entry"
                f" BEGIN SELECT RAISE(ABORT, '{_SAY_NO}'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_SAY_NO}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION keep_audit()"
    )


def upgrade() -> None:
    op.add_column("audit_entry", sa.Column("digest", sa.Text(), nullable=False, server_default=""))
    _chain()
    _keep()


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for event in ("update", "delete"):
            op.execute(f"DROP TRIGGER audit_kept_{event}")
    else:
        op.execute("DROP TRIGGER audit_kept ON audit_entry")
        op.execute("DROP FUNCTION keep_audit()")
    op.drop_column("audit_entry", "digest")
