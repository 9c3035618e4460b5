"""broker client."""

from pathlib import Path

import pytest

from broker.core.handle import digest
from tests.cli.conftest import Broker, refused, rows
from tests.oauth.signing_client import KEY, key_set


def test_a_confidential_client_has_a_secret_that_is_shown_once(broker: Broker, data: Path) -> None:
    told = broker("client", "add", "Notes", "--redirect-uri", "https://notes.example/callback", "--json").json()
    assert told.keys() == {"client_id", "client_secret"}
    assert rows(data, "SELECT secret_digest FROM client") == [(digest(told["client_secret"]),)]
    assert told["client_secret"] not in broker("client", "list").out


def test_a_public_client_has_none(broker: Broker) -> None:
    told = broker("client", "add", "Notes", "--public", "--redirect-uri", "http://127.0.0.1/callback", "--json").json()
    assert told.keys() == {"client_id"}


def test_for_people_it_is_two_lines(broker: Broker) -> None:
    first, second = broker("client", "add", "Notes").out.splitlines()
    assert first.startswith("client_id  cli_")
    assert second.startswith("client_secret  sec_")


def test_clients_are_verified_unless_said(broker: Broker) -> None:
    broker("client", "add", "Known", "--redirect-uri", "https://a.example/1", "--redirect-uri", "https://a.example/2")
    broker("client", "add", "Stranger", "--public", "--unverified")
    told = [
        (row["name"], row["kind"], row["checked"], row["redirect_uris"])
        for row in broker("client", "list", "--json").json()
    ]
    assert told == [
        ("Known", "confidential", "verified", "https://a.example/1 https://a.example/2"),
        ("Stranger", "public", "unverified", ""),
    ]


def test_a_redirect_address_that_is_not_safe_is_refused(broker: Broker) -> None:
    told = broker("client", "add", "Notes", "--redirect-uri", "http://notes.example/callback")
    assert (told.status, told.out) == (2, "")
    assert told.err.startswith("The redirect address 'http://notes.example/callback' is refused: ")
    assert broker("client", "list", "--json").json() == []


def test_a_client_with_keys_has_no_secret_and_is_held_to_what_was_said(broker: Broker, data: Path) -> None:
    (data / "keys.json").write_text(key_set(KEY))
    keys = ("--jwks", str(data / "keys.json"))
    held = ("--require-pushed", "--dpop", "--fapi2", "--redirect-uri", "https://notes.example/callback")
    assert broker("client", "add", "Notes", *keys, *held, "--json").json().keys() == {"client_id"}
    assert broker("client", "add", "Bank", "--jwks-uri", "https://bank.example/keys", "--json").json().keys() == {
        "client_id"
    }
    columns = "auth_method, jwks, jwks_uri, require_pushed, dpop_bound, fapi2"
    assert rows(data, f"SELECT {columns} FROM client ORDER BY name DESC") == [
        ("private_key_jwt", key_set(KEY), "", 1, 1, 1),
        ("private_key_jwt", "", "https://bank.example/keys", 0, 0, 0),
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--public", "--jwks", "keys.json"], "A public client has no keys."),
        (["--jwks", "keys.json", "--jwks-uri", "https://a.example/keys"], "The keys are refused: keys are registered"),
        (["--jwks-uri", "http://a.example/keys"], "The keys are refused: keys are published at an https address"),
        (["--jwks", "empty.json"], "The keys are refused: a key set has 1 to 20 keys."),
        (["--jwks", "missing.json"], "The file "),
        (["--fapi2"], "The client is refused: a FAPI 2.0 client authenticates with private_key_jwt"),
    ],
    ids=["public", "both", "http", "empty", "missing", "no keys"],
)
def test_options_that_contradict_each_other_are_refused(
    broker: Broker, data: Path, options: list[str], says: str
) -> None:
    (data / "keys.json").write_text(key_set(KEY))
    (data / "empty.json").write_text("")
    named = [str(data / option) if option.endswith(".json") else option for option in options]
    told = broker("client", "add", "Notes", *named)
    assert (told.status, told.out) == (2, "")
    assert told.err.startswith(says)
    assert broker("client", "list", "--json").json() == []


def test_a_removed_client_is_gone(broker: Broker, data: Path) -> None:
    client_id = broker("client", "add", "Notes", "--public", "--json").json()["client_id"]
    assert broker("client", "remove", client_id).out == f"Removed {client_id}.\n"
    assert broker("client", "list", "--json").json() == []
    assert refused(broker("client", "remove", client_id), f"There is no client '{client_id}'.")
    events = [event for (event,) in rows(data, "SELECT event FROM audit_entry ORDER BY seq")]
    assert events == ["client.added", "client.removed"]


def test_a_client_is_shown_with_where_it_comes_from(broker: Broker) -> None:
    address = "https://notes.example/callback"
    added = broker("client", "add", "Notes", "--redirect-uri", address, "--json").json()["client_id"]
    assert [row["source"] for row in broker("client", "list", "--json").json()] == ["operator"]
    told = broker("client", "show", added).json()
    assert (told["client_id"], told["source"], told["verified"], told["used_at"]) == (added, "operator", True, None)
    assert (told["client_name"], told["redirect_uris"], told["grant_types"]) == ("Notes", [address], [])


def test_one_that_is_not_there_is_not_shown(broker: Broker) -> None:
    told = broker("client", "show", "cli_none")
    assert (told.status, told.out) == (2, "")
    assert told.err == "There is no client 'cli_none'.\n"
