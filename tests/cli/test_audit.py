"""broker audit."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from broker.store import migrate
from tests.cli.conftest import Broker, refused, rows
from tests.cli.stage import mia


def spoil(data: Path, change: str) -> None:
    """As somebody with the file in their hands would."""
    with closing(sqlite3.connect(data / "broker.db")) as connection, connection:
        connection.execute("DROP TRIGGER audit_kept_update")
        connection.execute("DROP TRIGGER audit_kept_delete")
        connection.execute(change)


def used(broker: Broker) -> None:
    mia(broker)
    broker("client", "add", "Notes", "--public")
    broker("user", "disable", "mia@example.com")


def test_a_trail_that_is_whole_says_so_with_its_head(broker: Broker) -> None:
    used(broker)
    told = broker("audit", "verify")
    assert (told.status, told.out.partition(":")[0], told.out.partition(", ")[0]) == (0, "OK", "OK: 3 entries")
    head = told.out.split("head ")[1].strip()
    assert broker("audit", "verify", "--head", head).status == 0


def test_a_changed_entry_is_named(broker: Broker, data: Path) -> None:
    used(broker)
    spoil(data, "UPDATE audit_entry SET actor = 'nobody' WHERE seq = 2")
    told = broker("audit", "verify")
    assert (told.status, told.out) == (1, "Entry 2 is not what was recorded, or one before it is not.\n")


def test_a_trail_that_was_cut_is_found_by_its_head(broker: Broker, data: Path) -> None:
    used(broker)
    head = broker("audit", "verify").out.split("head ")[1].strip()
    spoil(data, "DELETE FROM audit_entry WHERE seq = 3")
    assert broker("audit", "verify").status == 0
    told = broker("audit", "verify", "--head", head)
    assert (told.status, told.out) == (1, "Entry 3 is missing: the trail ends at 2.\n")


def test_other_text_is_no_head(broker: Broker) -> None:
    assert refused(
        broker("audit", "verify", "--head", "yesterday"),
        "A head is a number, a colon and 64 hexadecimal digits, as audit verify prints it.",
    )


def test_the_trail_is_exported_in_order_as_json_lines(broker: Broker, data: Path) -> None:
    used(broker)
    lines = [json.loads(line) for line in broker("audit", "export").out.splitlines()]
    assert [line["event"] for line in lines] == ["user.added", "client.added", "user.disabled"]
    assert lines[0]["seq"] == 1
    assert lines[1]["details"]["public"] is True
    assert all(line["digest"] for line in lines)


def test_what_was_recorded_before_there_was_a_chain_is_linked(broker: Broker, data: Path) -> None:
    (data / "broker.db").unlink()
    made_at(data / "broker.db", "0007")
    for seq, event in ((3, "user.added"), (7, "client.added")):
        rows(data, f"INSERT INTO audit_entry VALUES ({seq}, 5, '{event}', 'operator', 'x', '{{}}')")
    assert broker("audit", "verify").out.startswith("OK: 2 entries")
    said = rows(data, "SELECT seq, at, event, actor, object_id, details FROM audit_entry ORDER BY seq")
    assert said == [(1, 5, "user.added", "operator", "x", "{}"), (2, 5, "client.added", "operator", "x", "{}")]


def made_at(path: Path, revision: str) -> None:
    """A database as an older version of this code made it."""
    scripts = ScriptDirectory(str(migrate.SCRIPTS))
    engine = migrate.sync_engine(path)
    with (
        engine.connect() as connection,
        connection.begin(),
        EnvironmentContext(Config(), scripts, fn=lambda rev, _: scripts._upgrade_revs(revision, rev)) as environment,
    ):
        environment.configure(connection=connection, target_metadata=migrate.METADATA)
        environment.run_migrations()
    engine.dispose()
