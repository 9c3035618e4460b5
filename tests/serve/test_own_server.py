"""A person's own server: each of their keys goes to its address, and to no other."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.canary import KEYS
from tests.fake_provider import FakeProvider, answer_chat, provider_in_a_thread
from tests.serve.installation import ASK, Granted, Installation
from tests.serve.running import Running, eventually

NAME = "openai-compatible"
MODEL = "llama3.2:1b"
OPEN = {"BROKER_USER_SERVERS": "true", "BROKER_USER_SERVERS_INSIDE": "127.0.0.1"}


@pytest.fixture
def server() -> Iterator[FakeProvider]:
    with provider_in_a_thread(answer_chat) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path, dict(OPEN))
    installation.furnish()
    return installation


def add_key(place: Installation, server: FakeProvider) -> str:
    words = (
        "key",
        "add",
        "--provider",
        NAME,
        "--user",
        "ana@example.com",
        "--base-url",
        f"{server.url}/v1",
        "--no-check",
    )
    return str(place.json(*words, stdin=KEYS["openai"] + "\n")["credential_id"])


def call(at: Running, granted: Granted, path: str = "/v1/chat/completions", **more: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=20) as app:
        headers = {"authorization": f"Bearer {granted.token}"}
        return app.post(f"{at.address}/proxy/{NAME}{path}", json=ASK | {"model": MODEL} | more, headers=headers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_call_goes_to_the_address_of_its_key_at_the_operators_price(
    place: Installation, server: FakeProvider, workers: str
) -> None:
    """Whether the worker keeps the books itself or is told by its parent which key to use."""
    place.settings["BROKER_WORKERS"] = workers
    add_key(place, server)
    granted = place.grant(provider=NAME, models=[MODEL])
    with place.serving() as at:
        refused = call(at, granted)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "no_price")
        assert server.asked == []
        place.broker("price", "set", NAME, "*", "--input", "1", "--output", "2")
        answer = eventually(lambda: priced if (priced := call(at, granted)).status_code == 200 else None)
        assert answer.json()["object"] == "chat.completion"
        (asked,) = server.asked
        assert (asked.target, asked.header("authorization")) == ("/v1/chat/completions", f"Bearer {KEYS['openai']}")
        used = answer.json()["usage"]
        assert place.settled(granted.grant_id) == used["prompt_tokens"] * 1 + used["completion_tokens"] * 2


def test_streams_pass_too(place: Installation, server: FakeProvider) -> None:
    add_key(place, server)
    place.broker("price", "set", NAME, "*", "--input", "0", "--output", "0")
    granted = place.grant(provider=NAME, models=[MODEL])
    with place.serving() as at:
        answer = call(at, granted, stream=True)
        assert answer.status_code == 200
        assert answer.text.rstrip().endswith("data: [DONE]")
        assert place.settled(granted.grant_id) == 0


def test_a_key_whose_address_was_changed_in_the_database_does_not_open(
    place: Installation, server: FakeProvider
) -> None:
    """Who can write to the database must not be able to have keys sent to themselves."""
    key = add_key(place, server)
    place.broker("price", "set", NAME, "*", "--input", "1", "--output", "2")
    granted = place.grant(provider=NAME, models=[MODEL])
    with provider_in_a_thread(answer_chat) as thief:
        with closing(sqlite3.connect(place.folder / "data" / "broker.db")) as db, db:
            db.execute("UPDATE credential SET base_url = ? WHERE id = ?", (thief.url, key))
        with place.serving() as at:
            answer = call(at, granted)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert (thief.asked, server.asked) == ([], [])


def test_a_key_of_another_provider_goes_to_no_address_that_was_written_to_its_row(
    place: Installation, server: FakeProvider
) -> None:
    granted = place.grant()
    with closing(sqlite3.connect(place.folder / "data" / "broker.db")) as db, db:
        db.execute("UPDATE credential SET base_url = ?", (server.url,))
    with place.serving() as at, httpx.Client(trust_env=False, timeout=20) as app:
        headers = {"authorization": f"Bearer {granted.token}"}
        answer = app.post(f"{at.address}/proxy/openai/v1/chat/completions", json=ASK, headers=headers)
        assert answer.status_code == 503
    assert server.asked == []


def test_nothing_is_reached_once_the_operator_has_closed_it(place: Installation, server: FakeProvider) -> None:
    add_key(place, server)
    place.broker("price", "set", NAME, "*", "--input", "1", "--output", "2")
    granted = place.grant(provider=NAME, models=[MODEL])
    place.settings.pop("BROKER_USER_SERVERS_INSIDE")
    with place.serving() as at:
        answer = call(at, granted)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")
        assert place.settled(granted.grant_id) == 0
    place.settings.pop("BROKER_USER_SERVERS")
    with place.serving() as at:
        answer = call(at, granted)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert server.asked == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "Hello", "messages": None, "previous_response_id": "resp_1", "max_tokens": None}),
        ("/v1/batches", {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}),
    ],
)
def test_nothing_is_kept_at_a_server_whose_ids_could_be_anybodys(
    place: Installation, server: FakeProvider, path: str, body: dict[str, Any]
) -> None:
    add_key(place, server)
    place.broker("price", "set", NAME, "*", "--input", "1", "--output", "2")
    granted = place.grant(provider=NAME, models=[MODEL], actions=["chat", "files", "batches", "background"])
    with place.serving() as at:
        sent = {name: value for name, value in body.items() if value is not None}
        with httpx.Client(trust_env=False, timeout=20) as app:
            headers = {"authorization": f"Bearer {granted.token}"}
            answer = app.post(f"{at.address}/proxy/{NAME}{path}", json=sent | {"model": MODEL}, headers=headers)
        assert answer.status_code in (400, 403, 404), answer.text
    assert server.asked == []


def test_the_command_line_says_what_an_address_has_to_be(
    place: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ("key", "add", "--provider", NAME, "--no-check")
    user, key = ("--user", "ana@example.com"), KEYS["openai"] + "\n"
    place.broker(*add, *user, stdin=key, status=2)
    assert "Say where the server is with --base-url" in capsys.readouterr().err
    place.broker(*add, "--base-url", "https://llm.example.com", stdin=key, status=2)
    assert "A server of the operator's is a provider" in capsys.readouterr().err
    place.broker(*add, *user, "--base-url", "https://169.254.169.254", stdin=key, status=2)
    assert "This is no address on the internet" in capsys.readouterr().err
    openai = ("key", "add", "--provider", "openai", "--no-check", "--base-url", "https://llm.example.com")
    place.broker(*openai, *user, stdin=key, status=2)
    assert "OpenAI has an address of its own" in capsys.readouterr().err
    place.broker("provider", "add", NAME, "--dialect", "openai", "--base-url", "https://llm.example.com", status=2)
    assert "is the name of people's own servers" in capsys.readouterr().err
    place.broker("provider", "set", NAME, "--base-url", "https://llm.example.com", status=2)
    assert "has an address of its own" in capsys.readouterr().err
    place.settings["BROKER_USER_SERVERS"] = "false"
    place.broker(*add, *user, "--base-url", "https://llm.example.com", stdin=key, status=2)
    assert "BROKER_USER_SERVERS=true" in capsys.readouterr().err


def test_a_check_asks_the_server_itself(place: Installation, server: FakeProvider) -> None:
    key = add_key(place, server)
    assert json.loads(place.broker("key", "list", "--json"))[-1]["base_url"] == server.url
    place.broker("key", "check", key)
    assert [asked.target for asked in server.asked] == ["/v1/models"]
