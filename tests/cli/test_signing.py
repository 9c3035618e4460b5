"""broker signing."""

from pathlib import Path

import pytest

from tests.cli.conftest import Broker, rows


def test_the_first_token_makes_a_key_and_a_rotation_the_next(broker: Broker) -> None:
    first = broker("signing", "rotate", "--at-once", "--json").json()
    told = broker("signing", "rotate").out.splitlines()
    assert told[1].startswith("What was signed before is believed until ")
    listed = broker("signing", "list", "--json").json()
    assert (listed[0]["kid"], listed[0]["state"]) == (first["kid"], "signs")
    assert [row["state"] for row in listed] == ["signs", "next"]
    assert listed[0]["retires_at"]
    assert told[0].startswith(f"{listed[1]['kid']} (ES256) signs from ")


def test_a_key_that_leaked_is_retired_now(broker: Broker, data: Path) -> None:
    first = broker("signing", "rotate", "--json").json()
    told = broker("signing", "rotate", "--at-once")
    assert "No token that was signed before is believed any more." in told.out
    listed = broker("signing", "list", "--json").json()
    assert {row["kid"]: row["state"] for row in listed}[first["kid"]] == "retired"
    assert [row["state"] for row in listed].count("signs") == 1
    assert rows(data, "SELECT count(*) FROM audit_entry WHERE event = 'signing.rotated'") == [(2,)]


def test_the_algorithm_is_that_of_the_setting(broker: Broker, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_SIGNING_ALGORITHM", "EdDSA")
    told = broker("signing", "rotate", "--json").json()
    assert told["algorithm"] == "EdDSA"
    assert rows(data, "SELECT algorithm FROM signing_key") == [("EdDSA",)]
