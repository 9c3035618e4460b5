"""The operator's limits above the grants: of a key's users, of tiers, of providers."""

from pathlib import Path

import pytest

from tests.cli import stage
from tests.cli.conftest import Broker, refused, rows

KEY = "sk-canary-0123456789-9f2A"
LIMITS = "SELECT scope_kind, scope_id, budget, max_requests, per FROM overall_limit ORDER BY 1, 2"


@pytest.fixture
def mia(broker: Broker) -> str:
    return stage.mia(broker)


def _key(broker: Broker, *words: str) -> str:
    told = broker("key", "add", "--provider", "openai", "--no-check", "--json", *words, said=KEY)
    return str(told.json()["credential_id"])


def test_each_user_of_the_operators_key_is_limited_or_one_of_them(broker: Broker, data: Path, mia: str) -> None:
    key = _key(broker)
    assert broker("key", "limit", key, "--budget", "20").out == f"{key}: $20.00 a month.\n"
    hers = broker("key", "limit", key, "--user", "mia@example.com", "--requests", "1000", "--per", "day")
    assert hers.out == f"{key}: 1,000 requests a day.\n"
    assert rows(data, LIMITS) == [
        ("credential", f"/{key}", 20_000_000, None, "month"),
        ("credential", f"{mia}/{key}", None, 1000, "day"),
    ]
    assert broker("key", "list", "--json").json()[0]["limit"] == "$20.00 a month"
    events = "SELECT event, object_id FROM audit_entry WHERE event LIKE 'credential.%limited'"
    assert rows(data, events) == [("credential.limited", key)] * 2


def test_what_is_not_said_stays_and_none_takes_a_limit_away(broker: Broker, data: Path, mia: str) -> None:
    key = _key(broker, "--user", "mia@example.com")
    broker("key", "limit", key, "--budget", "5.50", "--requests", "10", "--per", "week")
    assert broker("key", "limit", key, "--budget", "none").out == f"{key}: 10 requests a week.\n"
    assert rows(data, LIMITS) == [("credential", f"{mia}/{key}", None, 10, "week")]
    assert broker("key", "limit", key, "--requests", "1").out == f"{key}: 1 request a week.\n"
    assert broker("key", "limit", key, "--requests", "none").out == f"{key}: no limit.\n"
    assert rows(data, LIMITS) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "Say what to change: --budget, --requests or --per."),
        (["--budget", "much"], "'much' is no amount of dollars, such as 20 or 0.50."),
        (["--requests", "-1"], "'-1' is no number of requests."),
        (["--user", "nobody@example.com", "--budget", "1"], "No user has the email 'nobody@example.com'."),
    ],
)
def test_what_cannot_be_understood_changes_nothing(broker: Broker, data: Path, words: list[str], line: str) -> None:
    key = _key(broker)
    assert refused(broker("key", "limit", key, *words), line)
    assert rows(data, LIMITS) == []


def test_nobody_else_uses_a_users_own_key(broker: Broker, mia: str) -> None:
    key = _key(broker, "--user", "mia@example.com")
    broker("user", "add", "bo@example.com", "--password-stdin", said="a few plain words")
    told = broker("key", "limit", key, "--user", "bo@example.com", "--budget", "1")
    assert refused(told, "This key is another user's own, so nobody else uses it.")


def test_a_tier_is_added_changed_listed_and_removed(broker: Broker, data: Path, mia: str) -> None:
    assert broker("tier", "add", "plus", "--budget", "20", "--requests", "5000").status == 0
    assert refused(
        broker("tier", "add", "plus", "--budget", "1"),
        "There is a tier 'plus' already. Change it with: broker tier set plus …",
    )
    assert broker("tier", "set", "plus", "--budget", "25").out == "plus: $25.00 and 5,000 requests a month.\n"
    put = broker("user", "set", "mia@example.com", "--tier", "plus", "--anchor-day", "31")
    assert put.out == "mia@example.com: plus, $25.00 and 5,000 requests a month, from day 31.\n"
    assert broker("tier", "list", "--json").json() == [
        {"name": "plus", "budget": 25_000_000, "requests": 5000, "users": 1}
    ]
    [listed] = broker("user", "list", "--json").json()
    assert (listed["tier"], listed["anchor_day"]) == ("plus", "31")
    assert "1 user is in plus. Put that user into another tier" in broker("tier", "remove", "plus").err
    broker("user", "set", "mia@example.com", "--tier", "none")
    assert broker("tier", "remove", "plus").out == "Removed plus.\n"
    assert rows(data, LIMITS) == rows(data, "SELECT * FROM user_tier") == []


def test_another_tier_keeps_the_anchor_day(broker: Broker, data: Path, mia: str) -> None:
    for name in ("free", "plus"):
        broker("tier", "add", name, "--budget", "1")
    broker("user", "set", "mia@example.com", "--tier", "free", "--anchor-day", "29")
    broker("user", "set", "mia@example.com", "--tier", "plus")
    assert rows(data, "SELECT tier, anchor_day FROM user_tier") == [("plus", 29)]
    broker("user", "set", "mia@example.com", "--anchor-day", "2")
    assert rows(data, "SELECT tier, anchor_day FROM user_tier") == [("plus", 2)]


def test_a_tier_that_limits_nothing_or_is_not_there_is_refused(broker: Broker, mia: str) -> None:
    nothing = "A tier limits money or requests: say --budget or --requests."
    assert refused(broker("tier", "add", "plus"), nothing)
    missing = "There is no tier 'plus'. Add it with: broker tier add plus …"
    assert refused(broker("tier", "set", "plus", "--budget", "1"), missing)
    assert refused(broker("user", "set", "mia@example.com", "--tier", "plus"), missing)
    assert "at most 64" in broker("tier", "add", "Plus!", "--budget", "1").err
    assert "is in no tier" in broker("user", "set", "mia@example.com", "--anchor-day", "3").err
    assert broker("user", "set", "mia@example.com", "--anchor-day", "32").status == 2


def test_all_calls_to_a_provider_are_limited(broker: Broker, data: Path) -> None:
    assert broker("provider", "set", "openai", "--budget", "100", "--per", "day").out == "Changed openai.\n"
    assert rows(data, LIMITS) == [("provider", "openai", 100_000_000, None, "day")]
    listed = {row["name"]: row["limit"] for row in broker("provider", "list", "--json").json()}
    assert {name: limit for name, limit in listed.items() if limit} == {"openai": "$100.00 a day"}
    assert rows(data, "SELECT count(*) FROM provider") == [(0,)]
    broker("provider", "set", "openai", "--budget", "none")
    assert rows(data, LIMITS) == []


def test_what_was_used_of_each_is_listed(broker: Broker, data: Path, mia: str) -> None:
    key = _key(broker)
    broker("provider", "set", "openai", "--budget", "100", "--requests", "10", "--per", "total")
    broker("tier", "add", "plus", "--budget", "20")
    broker("user", "set", "mia@example.com", "--tier", "plus")
    broker("key", "limit", key, "--user", "mia@example.com", "--requests", "1000", "--per", "day")
    rows(data, "UPDATE counter SET settled = 3000000, held = 1000000 WHERE measure = 'money' AND scope_kind = 'tier'")
    told = {each["limit_of"]: each for each in broker("ledger", "limits", "--json").json()}
    assert told["provider"] == {
        "limit_of": "provider", "id": "openai", "user": None, "per": "total", "resets_at": None,
        "budget": {"limit": 100_000_000, "settled": 0, "held": 0, "remaining": 100_000_000, "overrun": 0},
        "requests": {"limit": 10, "used": 0},
    }  # fmt: skip
    assert (told["tier"]["user"], told["tier"]["id"], told["tier"]["requests"]) == ("mia@example.com", None, None)
    assert told["tier"]["budget"]["remaining"] == 16_000_000
    assert (told["credential"]["id"], told["credential"]["user"]) == (key, "mia@example.com")
    assert told["credential"]["per"] == "day"
    assert "mia@example.com  $3.00 of $20.00" in broker("ledger", "limits").out
