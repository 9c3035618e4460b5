"""broker grant keys: several keys for one access, and nobody else's among them."""

from pathlib import Path

import pytest

from tests.cli.conftest import Broker, refused, rows
from tests.cli.stage import Stage, furnished


@pytest.fixture
def stage(broker: Broker) -> Stage:
    return furnished(broker)


def _another(stage: Stage, key: str) -> str:
    words = ("key", "add", "--provider", "openai", "--user", "mia@example.com", "--no-check", "--json")
    found: str = stage.broker(*words, said=key).json()["credential_id"]
    return found


def test_several_keys_are_lent_in_the_order_named(stage: Stage, data: Path) -> None:
    other = _another(stage, "sk-another-of-mia")
    chosen = ("--credential", other, "--credential", stage.key_id, "--strategy", "round-robin")
    grant_id = stage.add(*chosen).json()["grant_id"]
    assert rows(data, "SELECT credential_id FROM access") == [(other,)]
    told = {"provider": "openai", "credential_ids": [other, stage.key_id], "strategy": "round_robin"}
    assert stage.broker("grant", "keys", grant_id, "--json").json() == [told]
    assert refused(
        stage.add(*chosen[:4], "--strategy", "luck"),
        "The strategy must be one of: priority, round_robin, least_used, affinity.",
    )


def test_the_keys_of_a_grant_are_changed_later(stage: Stage, data: Path) -> None:
    grant_id = stage.add().json()["grant_id"]
    other = _another(stage, "sk-another-of-mia")
    chosen = ("--credential", other, "--credential", stage.key_id)
    assert stage.broker("grant", "keys", grant_id, *chosen).out == f"openai: {other}, {stage.key_id} priority\n"
    assert rows(data, "SELECT count FROM change") == [(0,)]
    assert stage.broker("grant", "keys", grant_id, "--credential", stage.key_id).out == f"openai: {stage.key_id}\n"
    assert rows(data, "SELECT count FROM change") == [(1,)]  # a key was taken away: calls that run on it are cut
    (event,) = rows(data, "SELECT event FROM audit_entry ORDER BY seq DESC LIMIT 1")
    assert event == ("grant.keys_changed",)
    assert refused(
        stage.broker("grant", "keys", grant_id, "--provider", "google", "--credential", other),
        "The grant has no such access.",
    )


def test_nobody_elses_key_is_lent_beside_ones_own(stage: Stage) -> None:
    stage.broker("user", "add", "leo@example.com", "--password-stdin", said="some other words")
    theirs = ("--provider", "openai", "--user", "leo@example.com", "--no-check", "--json")
    key_id = stage.broker("key", "add", *theirs, said="sk-of-leo-0123").json()["credential_id"]
    line = f"'{key_id}' is not a key of mia@example.com or of the operator."
    assert refused(stage.add("--credential", stage.key_id, "--credential", key_id), line)
    grant_id = stage.add().json()["grant_id"]
    assert refused(stage.broker("grant", "keys", grant_id, "--credential", stage.key_id, "--credential", key_id), line)
