"""broker ledger."""

import json
from pathlib import Path

from tests.cli.conftest import Broker, rows
from tests.cli.test_grant import WHOLE


def _grant(broker: Broker) -> None:
    broker("user", "add", "mia@example.com", "--password-stdin", said="a few plain words")
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
