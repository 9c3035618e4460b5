"""broker key: sealed, checked, shown by the last four characters."""

from pathlib import Path

import pytest

from tests.cli.conftest import Broker, Upstream, refused, rows
from tests.cli.stage import mia

KEY = "sk-canary-0123456789-9f2A"


@pytest.fixture
def local(broker: Broker, upstream: Upstream) -> str:
    """A provider that is there, by name."""
    broker("provider", "add", "local", "--dialect", "openai", "--base-url", upstream.url)
    return "local"


def _add(broker: Broker, *words: str, key: str = KEY) -> str:
    found: str = broker("key", "add", "--provider", "openai", "--no-check", "--json", *words, said=key).json()[
        "credential_id"
    ]
    return found


def test_a_key_is_sealed_and_only_its_last_four_characters_are_shown(broker: Broker, data: Path) -> None:
    told = broker("key", "add", "--provider", "openai", "--no-check", said=f"{KEY}\n")
    assert (told.status, told.err) == (0, "")
    assert told.out.endswith("(openai, sk-…9f2A).\n")
    listed = broker("key", "list").out
    assert "sk-…9f2A" in listed
    written = b"".join(path.read_bytes() for path in data.iterdir())
    assert KEY.encode() not in written
    assert KEY not in told.out + listed


def test_without_a_user_it_is_the_operators(broker: Broker) -> None:
    mia(broker)
    _add(broker)
    _add(broker, "--user", "mia@example.com", "--name", "Work")
    told = [(row["owner"], row["name"], row["state"]) for row in broker("key", "list", "--json").json()]
    assert told == [("operator", "Personal", "unchecked"), ("mia@example.com", "Work", "unchecked")]


def test_it_is_checked_against_the_provider_before_it_is_saved(broker: Broker, local: str, upstream: Upstream) -> None:
    told = broker("key", "add", "--provider", local, said=KEY)
    assert refused(told, "Local refused this key, so it was not saved.")
    assert broker("key", "list", "--json").json() == []
    upstream.keys.add(KEY)
    assert broker("key", "add", "--provider", local, said=KEY).status == 0
    assert broker("key", "list", "--json").json()[0]["state"] == "working"


def test_a_provider_that_does_not_answer_proves_nothing(broker: Broker) -> None:
    broker("provider", "add", "gone", "--dialect", "openai", "--base-url", "http://127.0.0.1:1")
    told = broker("key", "add", "--provider", "gone", said=KEY)
    assert refused(
        told, "Gone did not answer, so the key was not saved. With --no-check it is saved as it is.", status=1
    )
    assert broker("key", "list", "--json").json() == []


def test_a_key_is_checked_again_on_request(broker: Broker, local: str, upstream: Upstream) -> None:
    upstream.keys.add(KEY)
    key_id = broker("key", "add", "--provider", local, "--json", said=KEY).json()["credential_id"]
    assert broker("key", "check", key_id).out == f"{key_id} (local): working\n"
    upstream.keys.clear()
    told = broker("key", "check", key_id)
    assert (told.status, told.out) == (1, f"{key_id} (local): refused\n")
    assert broker("key", "list", "--json").json()[0]["state"] == "refused"


def test_the_same_key_twice_is_refused(broker: Broker) -> None:
    first = _add(broker)
    again = broker("key", "add", "--provider", "openai", "--no-check", said=KEY)
    assert refused(again, f"This key is here already: {first}.")


def test_a_removed_key_is_erased(broker: Broker, data: Path) -> None:
    key_id = _add(broker)
    assert broker("key", "remove", key_id).out == f"Removed {key_id}.\n"
    assert rows(data, "SELECT sealed FROM credential") == [("",)]
    assert broker("key", "list", "--json").json() == []
    assert refused(broker("key", "remove", key_id), f"There is no key '{key_id}'.")


@pytest.mark.parametrize(
    ("words", "key", "line"),
    [
        (["--provider", "openai"], "", "No key was given on standard input."),
        (
            ["--provider", "nobody"],
            KEY,
            "No provider is called 'nobody'. Known: anthropic, cohere, google, mistral, openai.",
        ),
        (["--provider", "openai", "--user", "x@y.z"], KEY, "No user has the email 'x@y.z'."),
        (
            ["--provider", "openai"],
            "sk-ant-api03-0123456789",
            "This looks like an Anthropic key (it starts with sk-ant-). Enter an OpenAI key.",
        ),
        (["--provider", "openai"], "x" * 9000, "The key is too long."),
    ],
    ids=["nothing", "provider", "user", "another provider's", "too long"],
)
def test_what_is_wrong_is_said(broker: Broker, words: list[str], key: str, line: str) -> None:
    assert refused(broker("key", "add", "--no-check", *words, said=key), line)
    assert broker("key", "list", "--json").json() == []


def test_a_server_that_wants_no_key_gets_a_word_that_nobody_knows(broker: Broker) -> None:
    broker("provider", "add", "ollama", "--base-url", "http://127.0.0.1:9")
    told = [broker("key", "add", "--provider", "ollama", "--no-key", "--no-check") for _ in range(2)]
    assert [each.status for each in told] == [0, 0]
    first, second = (row["key"] for row in broker("key", "list", "--json").json())
    assert first.startswith("no-key_…")
    assert first != second


def test_that_the_server_is_there_is_checked_all_the_same(broker: Broker, local: str) -> None:
    told = broker("key", "add", "--provider", local, "--no-key")
    assert refused(told, "Local refused this key, so it was not saved.")


def test_a_key_that_its_provider_takes_rests_no_longer(
    broker: Broker, local: str, upstream: Upstream, data: Path
) -> None:
    key_id = broker("key", "add", "--provider", local, "--no-check", "--json", said=KEY).json()["credential_id"]
    since, until = 1_000_000, 4_102_444_800_000_000
    values = f"('{key_id}', 1, 'no_credit', {since}, {until})"
    rows(data, f"INSERT INTO quarantine (credential_id, version, cause, since, until) VALUES {values}")
    (listed,) = broker("key", "list", "--json").json()
    assert listed["rests"] == "out of credit, until 2100-01-01 00:00:00 UTC"
    assert broker("key", "check", key_id).status == 1  # refused: it goes on resting
    assert broker("key", "list", "--json").json()[0]["rests"]
    upstream.keys.add(KEY)
    assert broker("key", "check", key_id).status == 0
    assert broker("key", "list", "--json").json()[0]["rests"] == ""
