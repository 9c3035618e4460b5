"""broker vault: another master key, at one go or in the steps of several brokers."""

from base64 import b64decode
from pathlib import Path

from tests.cli.conftest import Broker, refused, rows
from tests.cli.stage import furnished

SEALED = (
    "SELECT sealed FROM credential UNION ALL SELECT sealed FROM signing_key"
    " UNION ALL SELECT value FROM setting WHERE name IN ('vault_check', 'vault_root')"
)


def key_lines(data: Path) -> list[str]:
    return (data / "master.key").read_text().splitlines()


def sealed_under(data: Path) -> set[str]:
    return {value.split(".")[0] for (value,) in rows(data, SEALED)}


def test_everything_is_sealed_with_the_new_key_and_the_old_one_is_gone(broker: Broker, data: Path) -> None:
    furnished(broker)
    broker("signing", "rotate")
    (old,) = key_lines(data)
    told = broker("vault", "rotate", "--json").json()
    assert told["resealed"] == {"setting": 2, "credential": 1, "signing_key": 1}
    assert (told["unreadable"], told["old_keys"]) == ([], 0)
    (new,) = key_lines(data)
    assert new != old
    assert (data / "master.key").stat().st_mode & 0o777 == 0o600
    assert sealed_under(data) == {f"v2:{told['key']}"}
    assert broker("signing", "rotate").status == 0
    assert rows(data, "SELECT count(*) FROM audit_entry WHERE event = 'vault.rotated'") == [(1,)]
    assert broker("audit", "verify").status == 0


def test_the_old_file_opens_nothing_any_more(broker: Broker, data: Path) -> None:
    furnished(broker)
    old = (data / "master.key").read_bytes()
    broker("vault", "rotate")
    (data / "master.key").write_bytes(old)
    told = broker("signing", "rotate")
    assert refused(told, "The master key in data/master.key is not the one this database was sealed with.", 1)


def test_no_key_is_printed_nor_stored(broker: Broker, data: Path) -> None:
    furnished(broker)
    before = key_lines(data)
    told = [broker("vault", "rotate", *words) for words in (("--add",), ("--keep-old",), ("--drop", "--json"))]
    assert [each.status for each in told] == [0, 0, 0]
    said = "".join(each.out + each.err for each in told)
    stored = b"".join(path.read_bytes() for path in data.glob("broker.db*"))
    for line in {*before, *key_lines(data)}:
        assert line not in said
        assert line.encode() not in stored
        assert b64decode(line) not in stored


def test_the_steps_of_several_brokers(broker: Broker, data: Path) -> None:
    furnished(broker)
    (old,) = key_lines(data)
    added = broker("vault", "rotate", "--add", "--json").json()
    assert key_lines(data)[0] == old
    assert key_lines(data)[1].startswith("next ")
    assert refused(
        broker("vault", "rotate", "--add"),
        "The master key file holds more than one key already: a rotation has begun.",
        1,
    )
    kept = broker("vault", "rotate", "--keep-old", "--json").json()
    assert (kept["key"], kept["old_keys"]) == (added["key"], 1)
    assert key_lines(data)[1] == old
    assert sealed_under(data) == {f"v2:{added['key']}"}
    dropped = broker("vault", "rotate", "--drop", "--json").json()
    assert (dropped["key"], dropped["old_keys"], dropped["resealed"]) == (added["key"], 0, {})
    assert len(key_lines(data)) == 1
    assert refused(broker("vault", "rotate", "--drop"), "The master key file holds no earlier key.", 1)


def test_steps_are_taken_one_by_one(broker: Broker) -> None:
    told = broker("vault", "rotate", "--add", "--drop")
    assert refused(told, "--add, --keep-old and --drop are steps of their own.")


def test_where_there_is_no_database_none_is_begun(broker: Broker, data: Path) -> None:
    (data / "broker.db").unlink()
    before = sorted(data.iterdir())
    for command in (("vault", "rotate"), ("backup", "copy.db")):
        assert refused(broker(*command), "There is no database in data.")
    assert sorted(data.iterdir()) == before


def test_what_no_key_opens_is_named_and_left(broker: Broker, data: Path) -> None:
    stage = furnished(broker)
    rows(data, "UPDATE credential SET sealed = 'v1.AAAA.AAAA'")
    told = broker("vault", "rotate")
    assert told.status == 0
    assert f"No key in the file opens credential {stage.key_id}; it is as it was." in told.out
    assert rows(data, "SELECT sealed FROM credential") == [("v1.AAAA.AAAA",)]
