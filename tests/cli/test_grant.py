"""broker grant: the operator's own decisions."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.store.accesses import key_identifier
from tests.cli.conftest import Broker, refused, rows
from tests.cli.stage import WHOLE, Stage, furnished


@pytest.fixture
def stage(broker: Broker) -> Stage:
    return furnished(broker)


def test_no_token_that_anyone_could_use_is_printed_for_a_client_that_must_prove_its_key(stage: Stage) -> None:
    bound = stage.broker("client", "add", "Bound", "--public", "--dpop", "--json").json()["client_id"]
    other = replace(stage, client_id=bound)
    told = other.add("--token")
    assert (told.status, told.out) == (2, "")
    assert told.err.startswith("This client has only tokens bound to a key of its own")
    assert other.broker("grant", "list", "--json").json() == []
    assert other.add().json().keys() == {"grant_id"}


def test_a_grant_gives_what_the_details_say(stage: Stage) -> None:
    rates = {"requests_per_minute": 30, "concurrent": 2}
    added = stage.add(max_requests=100, rate_limit=rates, max_output_tokens=500).json()
    assert added.keys() == {"grant_id"}
    shown = stage.show(added["grant_id"])
    (access,) = shown["access"]
    assert (shown["state"], shown["client_id"]) == ("active", stage.client_id)
    assert (access["provider"], access["models"], access["actions"]) == ("openai", ["gpt-4o-mini"], ["chat"])
    assert (access["budget"]["limit"], access["budget"]["remaining"]) == (5_000_000, 5_000_000)
    assert access["requests"] == {"limit": 100, "used": 0}
    assert access["rate_limit"] == {"requests_per_minute": 30, "tokens_per_minute": None, "concurrent": 2}
    assert access["max_output_tokens"] == 500
    assert access["expires_at"] - shown["created_at"] == 3600


def test_each_is_a_new_grant_audited_as_the_operators(stage: Stage, data: Path) -> None:
    first, second = (stage.add().json()["grant_id"] for _ in range(2))
    assert first != second
    added = rows(data, "SELECT object_id, actor FROM audit_entry WHERE event = 'grant.added' ORDER BY seq")
    assert added == [(first, "operator"), (second, "operator")]
    assert rows(data, 'SELECT DISTINCT origin FROM "grant"') == [("operator",)]


def test_no_setting_caps_the_operator(stage: Stage) -> None:
    dear = {"amount": "100000.00", "currency": "USD", "per": "month"}
    shown = stage.show(stage.add(budget=dear, expires_in=10 * 365 * 86_400).json()["grant_id"])
    assert shown["access"][0]["budget"]["limit"] == 100_000_000_000
    assert shown["access"][0]["budget"]["per"] == "month"


def test_a_token_lives_as_long_as_the_grant_unless_told(stage: Stage, data: Path) -> None:
    whole, short = stage.add("--token").json(), stage.add("--token", "--expires-in", "60").json()
    assert whole.keys() == {"grant_id", "access_token", "expires_in"}
    assert whole["access_token"].count(".") == 2
    assert (whole["expires_in"], short["expires_in"]) == (3600, 60)
    written = b"".join(path.read_bytes() for path in data.iterdir())
    assert whole["access_token"].rpartition(".")[2].encode() not in written


def test_the_details_may_be_in_a_file(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "details.json").write_text(json.dumps([WHOLE]))
    who = ("--user", "mia@example.com", "--client", stage.client_id)
    assert stage.broker("grant", "add", *who, "--details", str(tmp_path / "details.json"), "--json").status == 0
    missing = stage.broker("grant", "add", *who, "--details", "nowhere.json")
    assert refused(missing, "The file 'nowhere.json' cannot be read (No such file or directory).")


@pytest.mark.parametrize("member", ["models", "actions", "budget"])
def test_details_without_one_of_these_are_refused(stage: Stage, member: str) -> None:
    assert refused(stage.add(**{member: None}), f"The details are refused: {member} is missing for openai.")
    assert stage.broker("grant", "list", "--json").json() == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"expires_in": None}, "openai needs an end, expires_in or expires_at."),
        ({"expires_at": 4_000_000_000}, "openai needs an end, expires_in or expires_at."),
        ({"expires_in": None, "expires_at": 1_000_000_000}, "the access to openai has ended already."),
        ({"identifier": "key_x"}, "identifier is for tokens; choose a key with --credential."),
        ({"wishes": 3}, "an element has a member that this type does not know or that a client may not send."),
        ({"actions": ["fly"]}, "actions has a value that is not valid or stands twice."),
    ],
    ids=["no end", "two ends", "ended", "identifier", "unknown member", "unknown action"],
)
def test_details_that_are_not_right_are_refused(stage: Stage, changes: dict[str, Any], line: str) -> None:
    assert refused(stage.add(**changes), f"The details are refused: {line}")
    assert stage.broker("grant", "list", "--json").json() == []


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("", "The details are refused: authorization_details is not strict JSON."),
        ('[{"type": "a", "type": "b"}]', "The details are refused: authorization_details is not strict JSON."),
        ("{}", "The details are refused: authorization_details must be a JSON array."),
        (b"\xff", "The details are not UTF-8."),
        (b" " * 70_000, "The details are refused: authorization_details is too large."),
    ],
    ids=["nothing", "twice", "no array", "no text", "too large"],
)
def test_what_is_no_list_of_details_is_refused(stage: Stage, raw: str | bytes, line: str) -> None:
    assert refused(stage.add_raw(raw), line)


def test_an_unknown_provider_client_or_user_is_refused(stage: Stage) -> None:
    assert refused(
        stage.add(provider="other"), "No provider is called 'other'. Known: anthropic, cohere, google, mistral, openai."
    )
    stranger = ("grant", "add", "--user", "mia@example.com", "--client", "cli_x", "--details", "-")
    assert refused(stage.broker(*stranger, said=json.dumps([WHOLE])), "There is no client 'cli_x'.")
    nobody = ("grant", "add", "--user", "x@y.z", "--client", stage.client_id, "--details", "-")
    assert refused(stage.broker(*nobody, said=json.dumps([WHOLE])), "No user has the email 'x@y.z'.")


def test_a_disabled_user_is_granted_nothing(stage: Stage) -> None:
    stage.broker("user", "disable", "mia@example.com")
    assert refused(stage.add(), "mia@example.com is disabled.")


def _lent(data: Path) -> list[str]:
    return [key for (key,) in rows(data, "SELECT credential_id FROM access ORDER BY created_at")]


def test_the_users_only_key_is_lent_before_the_operators(stage: Stage, data: Path) -> None:
    stage.broker("key", "add", "--provider", "openai", "--no-check", said="sk-of-the-operator")
    stage.add()
    assert _lent(data) == [stage.key_id]


def test_without_a_key_of_the_users_own_it_is_the_operators(stage: Stage, data: Path) -> None:
    refusal = "There is no key for google. Add one with: broker key add --provider google"
    assert refused(stage.add(provider="google"), refusal)
    told = stage.broker("key", "add", "--provider", "google", "--no-check", "--json", said="AIza0123456789")
    assert stage.add(provider="google").status == 0
    assert _lent(data) == [told.json()["credential_id"]]


def test_the_operators_key_may_be_in_the_environment(stage: Stage, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-canary-0123456789")
    assert stage.add(provider="anthropic").status == 0
    ((source, sealed),) = rows(data, "SELECT source, sealed FROM credential WHERE provider = 'anthropic'")
    assert (source, sealed) == ("environment", "")


def test_of_several_keys_one_must_be_chosen(stage: Stage, data: Path) -> None:
    second = ("--provider", "openai", "--user", "mia@example.com", "--no-check", "--json")
    other = stage.broker("key", "add", *second, said="sk-another-of-mia").json()["credential_id"]
    assert refused(stage.add(), "mia@example.com has several keys for openai: choose one with --credential ID.")
    assert stage.add("--credential", other).status == 0
    assert _lent(data) == [other]


def test_nobody_elses_key_is_lent(stage: Stage) -> None:
    stage.broker("user", "add", "leo@example.com", "--password-stdin", said="some other words")
    theirs = ("--provider", "openai", "--user", "leo@example.com", "--no-check", "--json")
    key_id = stage.broker("key", "add", *theirs, said="sk-of-leo-0123").json()["credential_id"]
    assert refused(
        stage.add("--credential", key_id),
        "--credential must name a key for openai that is mia@example.com's or the operator's.",
    )


@pytest.fixture
def state(stage: Stage) -> Callable[[str], str]:
    def read(grant_id: str) -> str:
        found: str = stage.show(grant_id)["state"]
        return found

    return read


def test_a_grant_is_paused_resumed_and_revoked(stage: Stage, state: Callable[[str], str], data: Path) -> None:
    grant_id = stage.add().json()["grant_id"]
    for verb, then in (("pause", "paused"), ("resume", "active"), ("revoke", "revoked")):
        assert stage.broker("grant", verb, grant_id).status == 0
        assert state(grant_id) == then
    assert refused(stage.broker("grant", "resume", grant_id), "A grant that is revoked cannot be resumed.")
    events = rows(data, "SELECT event FROM audit_entry WHERE object_id LIKE 'grt_%' ORDER BY seq")
    assert [event for (event,) in events] == ["grant.added", "grant.paused", "grant.resumed", "grant.revoked"]


def test_resume_ends_frozen_too(stage: Stage, state: Callable[[str], str], data: Path) -> None:
    grant_id = stage.add().json()["grant_id"]
    rows(data, f"UPDATE \"grant\" SET state = 'frozen' WHERE id = '{grant_id}'")
    assert state(grant_id) == "frozen"
    assert stage.broker("grant", "resume", grant_id).status == 0
    assert state(grant_id) == "active"


def test_a_grant_past_its_end_is_expired_and_moves_no_more(
    stage: Stage, state: Callable[[str], str], data: Path
) -> None:
    grant_id = stage.add().json()["grant_id"]
    rows(data, "UPDATE access SET ends_at = 1")
    assert state(grant_id) == "expired"
    assert refused(stage.broker("grant", "pause", grant_id), "A grant that is expired cannot be paused.")


SPRING = 1_774_008_000_000_000
"""2026-03-20 12:00 UTC."""


def test_for_people_a_grant_is_shown_in_words(stage: Stage, data: Path) -> None:
    grant_id = stage.add().json()["grant_id"]
    rows(data, f'UPDATE "grant" SET created_at = {SPRING}')
    rows(data, f"UPDATE access SET ends_at = {SPRING} + 86400000000")
    ((key, client),) = rows(data, 'SELECT credential_id, client_id FROM access JOIN "grant" ON "grant".id = grant_id')
    rows(data, "UPDATE counter SET settled = 1840000, held = 120000 WHERE measure = 'money'")
    rows(data, "UPDATE counter SET settled = 411, held = 1 WHERE measure = 'requests'")
    each_rate = ("requests a minute", "tokens a minute", "calls at once")
    assert stage.broker("grant", "show", grant_id).out.splitlines() == [
        f"{grant_id}  expired  for {stage.client_id}, since 2026-03-20 12:00:00 UTC",
        "  openai: gpt-4o-mini (chat)",
        "    $1.84 of $5.00 in total; $0.12 held, $3.04 left, $0.00 over",
        "    412 of any number of requests",
        f"    {', '.join(f'any number of {each}' for each in each_rate)}, answers of any length",
        f"    until 2026-03-21 12:00:00 UTC, by the key that the app knows as {key_identifier(key, client)}",
    ]


def test_for_people_every_limit_of_a_grant_is_shown(stage: Stage) -> None:
    limits: dict[str, Any] = {
        "budget": {"amount": "5.00", "currency": "USD", "per": "day"},
        "max_requests": 1,
        "rate_limit": {"requests_per_minute": 30, "tokens_per_minute": 20_000, "concurrent": 1},
        "max_output_tokens": 500,
    }
    grant_id = stage.add(**limits).json()["grant_id"]
    before, told, after = stage.show(grant_id), stage.broker("grant", "show", grant_id), stage.show(grant_id)
    money, requests, rates = told.out.splitlines()[2:5]
    # Midnight may pass between two of these.
    ends = [time.gmtime(each["access"][0]["budget"]["resets_at"]) for each in (before, after)]
    begins_again = [time.strftime("%Y-%m-%d 00:00:00 UTC", end) for end in ends]
    said = "    $0.00 of $5.00 a day; $0.00 held, $5.00 left, $0.00 over; begins again on "
    assert money in [f"{said}{each}" for each in begins_again]
    assert requests == "    0 of 1 request"
    most = "at most 30 requests a minute, at most 20,000 tokens a minute, at most 1 call at once"
    assert rates == f"    {most}, answers of at most 500 tokens"


def test_grants_are_listed(stage: Stage) -> None:
    grant_id = stage.add().json()["grant_id"]
    assert stage.broker("grant", "list", "--json").json() == [
        {
            "grant_id": grant_id,
            "user": "mia@example.com",
            "client_id": stage.client_id,
            "state": "active",
            "origin": "operator",
        }
    ]


def test_no_such_grant(stage: Stage) -> None:
    for verb in ("show", "pause", "resume", "revoke"):
        assert refused(stage.broker("grant", verb, "grt_x"), "There is no grant 'grt_x'.")


def test_a_pause_of_the_users_becomes_the_operators(stage: Stage, data: Path) -> None:
    grant_id = stage.add().json()["grant_id"]
    rows(data, "UPDATE \"grant\" SET state = 'paused', paused_by = 'psn_mia'")
    assert stage.broker("grant", "pause", grant_id).out == f"Paused {grant_id}.\n"
    assert rows(data, 'SELECT state, paused_by FROM "grant"') == [("paused", "operator")]
    assert refused(stage.broker("grant", "pause", grant_id), "A grant that is paused cannot be paused.")
    assert stage.broker("grant", "resume", grant_id).status == 0
    assert rows(data, 'SELECT state, paused_by FROM "grant"') == [("active", "")]
