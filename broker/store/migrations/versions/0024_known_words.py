"""The words that a call may be marked with, said one by one: for a list SQLite fills a table at each row that is written."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

WORDS = {
    "state": ("held", "settled", "released"),
    "mark": ("", "not_run", "reported", "estimated", "unresolved"),
}

DEFENDED = ("may not be modified", "not authorized", "prohibited")
"""In what SQLite says of a schema that nobody may write to."""


def _listed(column: str) -> str:
    return f"CHECK ({column} IN ({', '.join(repr(word) for word in WORDS[column])}))"


def _one_by_one(column: str) -> str:
    return f"CHECK ({' OR '.join(f'{column} = {word!r}' for word in WORDS[column])})"


def _rewrite(changes: dict[str, str]) -> None:
    """SQLite knows a constraint by its text only, so that a table of millions of rows need not be written anew.

    https://sqlite.org/lang_altertable.html#otheralter allows this for constraints that all rows keep.
    """
    connection = op.get_bind()
    table = "type = 'table' AND name = 'reservation'"
    text = connection.scalar(sa.text(f"SELECT sql FROM sqlite_master WHERE {table}"))
    for before, after in changes.items():
        text = text.replace(before, after)
    version = connection.scalar(sa.text("PRAGMA schema_version"))
    try:
        connection.execute(sa.text("PRAGMA writable_schema = ON"))
        connection.execute(sa.text(f"UPDATE sqlite_master SET sql = :after WHERE {table}"), {"after": text})
        connection.execute(sa.text("PRAGMA writable_schema = OFF"))
    except sa.exc.DatabaseError as error:
        # A library that was built to defend its schema keeps the lists: then each call costs some microseconds more.
        if not any(words in str(error.orig) for words in DEFENDED):
            raise
        return
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rewrite({_listed(column): _one_by_one(column) for column in WORDS})


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rewrite({_one_by_one(column): _listed(column) for column in WORDS})
