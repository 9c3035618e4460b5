"""A call names its token without a foreign key: to delete a token, the database would look for it in every call."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME = "fk_reservation_jti"

_FOREIGN_KEY = rf"CONSTRAINT {NAME} FOREIGN KEY\s*\(jti\) REFERENCES access_token\s*\(jti\),\s*"
_NEXT = "CONSTRAINT fk_reservation_user_id"
_BOTH = f"CONSTRAINT {NAME} FOREIGN KEY(jti) REFERENCES access_token (jti), \n\t{_NEXT}"


def _rewrite(pattern: str, replacement: str) -> None:
    """SQLite knows a constraint by its text only, so that a table of millions of rows need not be written anew.

    https://sqlite.org/lang_altertable.html#otheralter allows this for foreign keys.
    """
    connection = op.get_bind()
    table = "type = 'table' AND name = 'reservation'"
    before = connection.scalar(sa.text(f"SELECT sql FROM sqlite_master WHERE {table}"))
    after, found = re.subn(pattern, replacement, before)
    if found != 1:
        raise RuntimeError(f"reservation has no {NAME} where it is looked for")
    version = connection.scalar(sa.text("PRAGMA schema_version"))
    try:
        connection.execute(sa.text("PRAGMA writable_schema = ON"))
        connection.execute(sa.text(f"UPDATE sqlite_master SET sql = :after WHERE {table}"), {"after": after})
    except sa.exc.DatabaseError:
        # A library that was built to defend its schema keeps the key: then only the deleting of tokens is slow.
        return
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rewrite(_FOREIGN_KEY, "")
    else:
        op.drop_constraint(NAME, "reservation", type_="foreignkey")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rewrite(_NEXT, _BOTH)
    else:
        op.create_foreign_key(NAME, "reservation", "access_token", ["jti"], ["jti"])
