"""broker ledger."""

import json
from pathlib import Path

from tests.cli.conftest import Broker, rows
from tests.cli.stage import WHOLE, mia


def _grant(broker: Broker) -> None:
    mia(broker)
    client = broker("client", "add", "Notes", "--public", "--json").json()["client_id"]
    broker("key", "add", "--provider", "openai", "--no-check", said="sk-of-the-operator")
    who = ("--user", "mia@example.com", "--client", client)
    broker("grant", "add", *who, "--details", "-", said=json.dumps([WHOLE]))


def test_books_that_are_right_say_ok(broker: Broker) -> None:
    _grant(broker)
    told = broker("ledger", "verify")
    assert (told.status, told.out.split(":")[0]) == (0, "OK")


def test_books_that_are_not_name_the_first_fault_and_the_status_is_1(broker: Broker, data: Path) -> None:
    _grant(broker)
    rows(data, "UPDATE counter SET settled = 1 WHERE measure = 'money'")
    told = broker("ledger", "verify")
    assert told.status == 1
    assert told.out.startswith("Counter access/acc_")
    assert told.out.count("\n") == 1


def test_the_sweep_says_how_many_calls_it_settled(broker: Broker) -> None:
    assert broker("ledger", "sweep").out == "Settled 0 calls.\n"


def test_what_came_near_to_its_limit_is_listed_for_people_and_for_programs(broker: Broker, data: Path) -> None:
    assert broker("ledger", "thresholds", "--json").json() == []
    rows(
        data,
        "INSERT INTO threshold VALUES ('provider', 'openai', 'money', 'day', 86400000000, 20000000, 80, 16100000, 90000000000),"
        " ('access', 'acc_1', 'requests', 'grant', 0, 1000, 50, 500, 80000000000)",
    )
    near, half = broker("ledger", "thresholds", "--json").json()
    assert near == {
        "scope_kind": "provider", "scope_id": "openai", "measure": "money", "period_kind": "day", "period_start": 86400,
        "limit": 20_000_000, "percent": 80, "used": 16_100_000, "at": 90_000,
    }  # fmt: skip
    assert (half["period_start"], half["percent"]) == (None, 50)
    lines = [line.split() for line in broker("ledger", "thresholds").out.splitlines()[1:]]
    assert lines == [
        ["90000", "provider", "openai", "money", "80%", "$20.00"],
        ["80000", "access", "acc_1", "requests", "50%", "1,000"],
    ]
