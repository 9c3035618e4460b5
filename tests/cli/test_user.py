"""broker user."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Broker, refused, rows

PASSWORD = "a few plain words"


def test_a_user_is_added_with_the_password_of_standard_input(broker: Broker, data: Path) -> None:
    told = broker("user", "add", "Mia@Example.com", "--role", "admin", "--password-stdin", said=f"{PASSWORD}\n")
    assert (told.status, told.out, told.err) == (0, "Added mia@example.com (admin).\n", "")
    ((email, role, hashed),) = rows(data, "SELECT email, role, password_hash FROM user")
    assert (email, role) == ("mia@example.com", "admin")
    assert str(hashed).startswith("$argon2id$")
    assert PASSWORD not in str(hashed)


def test_it_is_audited_as_the_operators(broker: Broker, data: Path) -> None:
    added = broker("user", "add", "mia@example.com", "--password-stdin", "--json", said=PASSWORD).json()
    assert rows(data, "SELECT event, actor, object_id FROM audit_entry") == [
        ("user.added", "operator", added["user_id"])
    ]


def test_the_same_email_twice_is_refused(broker: Broker) -> None:
    broker("user", "add", "mia@example.com", "--password-stdin", said=PASSWORD)
    again = broker("user", "add", "MIA@example.com", "--password-stdin", said=PASSWORD)
    assert refused(again, "A user with that email exists already.")


@pytest.mark.parametrize(
    ("email", "password", "line"),
    [
        ("no email", PASSWORD, "'no email' is not an email address."),
        ("mia@example.com", "", "No password was given on standard input."),
        ("mia@example.com", "\n", "No password was given on standard input."),
        ("mia@example.com", "é" * 513, "A password has at most 1024 bytes."),
    ],
    ids=["email", "nothing", "an empty line", "too long"],
)
def test_what_is_wrong_is_said_and_nobody_is_added(broker: Broker, email: str, password: str, line: str) -> None:
    assert refused(broker("user", "add", email, "--password-stdin", said=password), line)
    assert broker("user", "list", "--json").json() == []


def test_a_weak_password_is_the_operators_choice_but_not_silently(broker: Broker) -> None:
    told = broker("user", "add", "mia@example.com", "--password-stdin", said="short\n")
    assert told.status == 0
    assert told.err.startswith("Warning: this is a weak password.")


def test_users_are_listed_for_people_and_for_programs(broker: Broker) -> None:
    added = broker("user", "add", "mia@example.com", "--password-stdin", "--json", said=PASSWORD).json()
    titles, line = broker("user", "list").out.splitlines()
    assert titles.split() == ["email", "role", "state", "user", "id", "tier", "anchor", "day"]
    assert line.split() == ["mia@example.com", "user", "active", added["user_id"]]
    assert json.loads(broker("user", "list", "--json").out) == [
        {
            "email": "mia@example.com",
            "role": "user",
            "state": "active",
            "user_id": added["user_id"],
            "tier": "",
            "anchor_day": "",
        }
    ]


def test_a_disabled_user_stays_disabled(broker: Broker) -> None:
    broker("user", "add", "mia@example.com", "--password-stdin", said=PASSWORD)
    assert broker("user", "disable", "Mia@example.com").out == "Disabled Mia@example.com.\n"
    assert broker("user", "disable", "mia@example.com").out == "mia@example.com was disabled already.\n"
    assert broker("user", "list", "--json").json()[0]["state"] == "disabled"


def test_nobody_of_that_email(broker: Broker) -> None:
    assert refused(broker("user", "disable", "mia@example.com"), "No user has the email 'mia@example.com'.")
