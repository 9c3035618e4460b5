"""broker cleanup."""

import gzip
import json
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Broker, refused, rows
from tests.cli.stage import WHOLE, mia

_PERSON = "(SELECT id FROM user)"


@pytest.fixture
def used(broker: Broker, data: Path) -> str:
    """A grant with two calls that ended in 1970 and one that runs since then; a request with its code, of then and of ever."""
    mia(broker)
    client = broker("client", "add", "Notes", "--public", "--json").json()["client_id"]
    broker("key", "add", "--provider", "openai", "--no-check", said="sk-of-the-operator")
    who = ("--user", "mia@example.com", "--client", client)
    told = broker("grant", "add", *who, "--details", "-", "--token", "--json", said=json.dumps([WHOLE]))
    grant = str(told.json()["grant_id"])
    rows(data, "INSERT INTO boot VALUES ('boot', 1, 9223372036854775807, NULL)")
    for number in range(3):
        rows(data, _call(number))
    rows(data, "UPDATE counter SET held = 30 WHERE measure = 'money'")
    rows(data, "UPDATE counter SET held = 3 WHERE measure = 'requests'")
    rows(
        data,
        "UPDATE reservation SET state = 'settled', mark = 'estimated', ended_at = 9, cost = 10 WHERE id <> 'res_0'",
    )
    rows(data, "UPDATE counter SET held = 10, settled = 20 WHERE measure = 'money'")
    rows(data, "UPDATE counter SET held = 1, settled = 2 WHERE measure = 'requests'")
    return grant


def _call(number: int) -> str:
    price = json.dumps({"source": "", "version": "", "tiers": []})
    return (
        "INSERT INTO reservation SELECT "
        f"'res_{number}', a.grant_id, a.id, t.jti, g.user_id, a.credential_id, 'openai', 'gpt-4o-mini', 'chat', 0, 'held', '', 10, "
        "json_array(json_array('access', a.id, 'money', a.budget_per, c.period_start), json_array('access', a.id, 'requests', 'grant', 0)), "
        f"'{price}', 5, 5, 10, 'boot', {number + 1}, NULL, 0, 0, 0, 0, 0, 0, 0, '', 1, 0, '' "
        'FROM access AS a JOIN "grant" AS g ON g.id = a.grant_id JOIN access_token AS t ON t.grant_id = g.id '
        "JOIN counter AS c ON c.scope_id = a.id AND c.measure = 'money'"
    )


def _ended(data: Path, at: int) -> None:
    rows(data, f"INSERT INTO attempt VALUES ('att_{at}', 'person:x', {at})")
    rows(data, f"INSERT INTO session VALUES ('ses_{at}', {_PERSON}, 1, 1, {at})")
    rows(
        data,
        "INSERT INTO grant_request (id, client_id, redirect_uri, code_challenge, asked, state, created_at, ends_at, granted, "
        f"sealed_code) VALUES ('grq_{at}', (SELECT id FROM client), 'x', 'x', '[]', 'denied', 1, {at}, '[]', '')",
    )
    rows(
        data,
        "INSERT INTO code (digest, request_id, grant_id, client_id, redirect_uri, code_challenge, ends_at, used_at) "
        f"VALUES ('cod_{at}', 'grq_{at}', (SELECT id FROM \"grant\"), (SELECT id FROM client), 'x', 'x', {at}, 1)",
    )
    rows(
        data,
        "INSERT INTO device (digest, user_code_digest, sealed_user_code, request_id, client_id, asked_from, claim, created_at, "
        f"interval, ends_at) VALUES ('dev_{at}', '{at}', '', 'grq_{at}', (SELECT id FROM client), '', '', 1, 5, {at})",
    )
    rows(data, f"INSERT INTO idempotency_key VALUES ('key_{at}', 'x', 'x', {at})")
    rows(data, f"INSERT INTO seen VALUES ('see_{at}', {at})")
    rows(data, f"INSERT INTO rate_window VALUES ('acc_{at}', '', '7', 1, '[]', {at})")


def test_old_calls_go_to_a_file_and_the_books_are_right(broker: Broker, data: Path, used: str) -> None:
    assert broker("ledger", "verify").out.startswith("OK: 3 calls, ")
    told = broker("cleanup", "--older-than", "30d")
    assert (told.status, told.err) == (0, "")
    (file,) = (data / "archive").iterdir()
    assert told.out == f"2 calls went to {Path('data') / 'archive' / file.name}.\n"
    kept = [json.loads(line)["call"] for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert {call["id"] for call in kept} == {"res_1", "res_2"}
    assert rows(data, "SELECT id FROM reservation") == [("res_0",)]
    assert broker("ledger", "verify").out == "OK: 1 call and 2 archived, 2 counters, $0.00002 settled\n"
    assert broker("grant", "show", used, "--json").json()["access"][0]["budget"]["settled"] == 20
    assert rows(data, "SELECT event, object_id FROM audit_entry ORDER BY seq DESC LIMIT 1") == [
        ("ledger.archived", file.name)
    ]


def test_what_ended_long_ago_is_deleted_and_what_is_young_stays(broker: Broker, data: Path, used: str) -> None:
    for at in (5, 2**62):
        _ended(data, at)
    out = broker("cleanup", "--older-than", "1d").out
    kinds = ["try to sign in", "session", "code", "device code", "request", "proof or assertion", "idempotency key"]
    for words in [*kinds, "last minute of a rate"]:
        assert f"1 {words} was deleted." in out
    digests = [(table, "digest") for table in ("session", "code", "device", "seen", "idempotency_key")]
    for table, key in (("attempt", "id"), ("grant_request", "id"), ("rate_window", "access_id"), *digests):
        assert [row[0][4:] for row in rows(data, f"SELECT {key} FROM {table}")] == [str(2**62)]
    assert "deleted" not in broker("cleanup", "--older-than", "1d").out


def test_a_request_stays_with_its_receipt(broker: Broker, data: Path, used: str) -> None:
    _ended(data, 5)
    values = "'rec_1', 'grq_5', (SELECT id FROM \"grant\"), (SELECT id FROM user), (SELECT id FROM client), 'x', 'x', 1"
    rows(
        data,
        "INSERT INTO consent_receipt (id, request_id, grant_id, user_id, client_id, signed, shown, created_at) "
        f"VALUES ({values})",
    )
    assert "request" not in broker("cleanup", "--older-than", "1d").out
    assert rows(data, "SELECT id FROM grant_request") == [("grq_5",)]


def test_an_access_token_goes_once_no_call_and_no_other_token_names_it(broker: Broker, data: Path, used: str) -> None:
    (live,) = (jti for (jti,) in rows(data, "SELECT jti FROM access_token"))
    for jti, parent, ends_at in (
        ("archived", None, 5),
        ("running", None, 5),
        ("parent", None, 5),
        ("child", "parent", 2**62),
    ):
        _token(data, jti, parent, ends_at)
    rows(data, "UPDATE reservation SET jti = 'archived' WHERE id = 'res_1'")
    rows(data, "UPDATE reservation SET jti = 'running' WHERE id = 'res_0'")
    assert "1 access token would be deleted." in broker("cleanup", "--older-than", "30d", "--dry-run").out
    assert "1 access token was deleted." in broker("cleanup", "--older-than", "30d").out
    left = {jti for (jti,) in rows(data, "SELECT jti FROM access_token")}
    assert left == {live, "running", "parent", "child"}


def test_a_note_of_a_limit_goes_once_its_period_is_over_and_what_it_limits_has_ended(
    broker: Broker, data: Path, used: str
) -> None:
    [(access,)], [(token,)] = rows(data, "SELECT id FROM access"), rows(data, "SELECT jti FROM access_token")
    now, day = time.time_ns() // 1_000, 86_400_000_000
    over, lasting = now - 40 * day, now - 5 * day
    for scope_kind, scope_id, kind, start, at in (
        # The first eight are to stay: of a young note, of a month that lasts, of what lives.
        ("access", "acc_gone", "day", over, lasting),
        ("credential", "crd_1", "month", lasting, over),
        ("credential", "crd_1", "tier", lasting, over),
        ("credential", "crd_1", "week", lasting, over),
        ("provider", "openai", "grant", 0, over),
        ("access", access, "grant", 0, over),
        ("token", f"{token}/{access}", "grant", 0, over),
        ("access", "acc_gone", "grant", 0, lasting),
        ("credential", "crd_1", "day", over, over),
        ("credential", "crd_1", "month", over, over),
        ("user_tier", "usr_1", "tier", over, over),
        ("access", "acc_long_gone", "grant", 0, over),
        ("token", f"tok_gone/{access}", "grant", 0, over),
    ):
        rows(
            data,
            f"INSERT INTO threshold VALUES ('{scope_kind}', '{scope_id}', 'money', '{kind}', {start}, 100, 50, 60, {at})",
        )
    words = "notes of limits that were nearly reached"
    assert f"5 {words} would be deleted." in broker("cleanup", "--older-than", "7d", "--dry-run").out
    assert f"5 {words} were deleted." in broker("cleanup", "--older-than", "7d").out
    assert rows(data, "SELECT count(*) FROM threshold") == [(8,)]
    assert words not in broker("cleanup", "--older-than", "7d").out


def _token(data: Path, jti: str, parent: str | None, ends_at: int) -> None:
    named = "NULL" if parent is None else f"'{parent}'"
    rows(
        data,
        "INSERT INTO access_token (jti, grant_id, client_id, parent_jti, created_at, ends_at)"
        f" SELECT '{jti}', id, client_id, {named}, 1, {ends_at} FROM \"grant\"",
    )


def test_a_dry_run_only_counts(broker: Broker, data: Path, used: str) -> None:
    _ended(data, 5)
    out = broker("cleanup", "--older-than", "30d", "--dry-run").out
    assert "2 calls would go to an archive.\n0 refused calls would go to an archive.\n" in out
    assert "1 request would be deleted." in out
    assert rows(data, "SELECT count(*) FROM reservation") == [(3,)]
    assert rows(data, "SELECT count(*) FROM code") == [(1,)]
    assert not (data / "archive").exists()


def test_where_nothing_is_old_nothing_happens(broker: Broker, data: Path) -> None:
    assert broker("cleanup", "--older-than", "99999d").out == "Nothing is that old.\n"
    assert not (data / "archive").exists()


@pytest.mark.parametrize("typed", ["0d", "30", "1h", "-1d", "1.5d", "", "١d", "100000d"])
def test_less_than_a_day_is_refused(broker: Broker, typed: str) -> None:
    told = broker("cleanup", f"--older-than={typed}")
    assert refused(told, f"{typed!r} is no number of days such as 30d; a day is the least.")
