"""Two workers and three keys, one limited, one refused, one good: traffic follows, and a restart forgets nothing."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fake_provider import Asked, FakeProvider, completion, provider_in_a_thread, usage, whole
from tests.serve.installation import ASK, DETAILS, Granted, Installation
from tests.serve.running import Running

LIMITED, REFUSED, GOOD = "sk-limited-0123456789", "sk-refused-0123456789", "sk-good-0123456789abc"
RESET = 900
"""Seconds."""

TOO_MANY = {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
NO_KEY = {"error": {"message": "Bad key.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}}


class Upstream:
    """Says of each key what it is told to."""

    def __init__(self) -> None:
        self.limits = True

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        key = asked.header("authorization").removeprefix("Bearer ")
        if key == LIMITED and self.limits:
            writer.write(whole(TOO_MANY, 429, f"retry-after: {RESET}"))
        elif key == REFUSED:
            writer.write(whole(NO_KEY, 401))
        else:
            writer.write(whole(completion(used=usage())))


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def provider(upstream: Upstream) -> Iterator[FakeProvider]:
    with provider_in_a_thread(upstream) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path, provider: FakeProvider) -> Installation:
    settings = {"BROKER_WORKERS": "2", "BROKER_PROVIDER_OPENAI_BASE_URL": provider.url}
    installation = Installation(tmp_path, settings)
    installation.furnish()
    return installation


def lent(place: Installation, *keys: str) -> tuple[Granted, list[str]]:
    """A grant on these keys, in this order, and their ids."""
    words = ("key", "add", "--provider", "openai", "--user", "ana@example.com", "--no-check")
    ids = [place.json(*words, stdin=f"{key}\n")["credential_id"] for key in keys]
    first = place.broker("key", "list").splitlines()[1].split()[0]
    place.broker("key", "remove", first)  # the installation's own: what is left are these
    chosen = [word for each in ids for word in ("--credential", each)]
    granted = ("grant", "add", "--user", "ana@example.com", "--client", place.client_id, "--details", "-", "--token")
    added = place.json(*granted, *chosen, stdin=json.dumps([DETAILS]))
    return Granted(added["grant_id"], added["access_token"]), ids


def call(server: Running, granted: Granted) -> int:
    """Over a connection of its own, so that either worker may get it."""
    with httpx.Client(trust_env=False, timeout=20) as app:
        headers = {"authorization": f"Bearer {granted.token}", "connection": "close"}
        return app.post(f"{server.address}/proxy/openai/v1/chat/completions", json=ASK, headers=headers).status_code


def used(provider: FakeProvider) -> Counter[str]:
    return Counter(asked.header("authorization").removeprefix("Bearer ") for asked in provider.asked)


def test_traffic_follows_the_keys_over_workers_and_restarts(
    place: Installation, provider: FakeProvider, upstream: Upstream
) -> None:
    granted, ids = lent(place, LIMITED, REFUSED, GOOD)
    with place.serving() as server:
        assert call(server, granted) == 200
        assert used(provider) == {LIMITED: 1, REFUSED: 1, GOOD: 1}
        # Both workers know at once: of twenty calls none tries the others.
        assert [call(server, granted) for _ in range(20)] == [200] * 20
        assert used(provider) == {LIMITED: 1, REFUSED: 1, GOOD: 21}
        assert len(server.workers()) == 2
        assert server.end() == 0

    listed = {row["credential_id"]: (row["state"], row["rests"]) for row in place.json("key", "list")}
    assert listed[ids[0]][1].startswith("limited by its provider, until ")
    assert listed[ids[1]][0] == "refused"
    assert listed[ids[1]][1].startswith("refused by its provider, until ")
    assert listed[ids[2]] == ("working", "")

    with place.serving() as server:
        assert [call(server, granted) for _ in range(6)] == [200] * 6
        assert used(provider) == {LIMITED: 1, REFUSED: 1, GOOD: 27}
        upstream.limits = False
        place.broker("key", "check", ids[0])
        assert [call(server, granted) for _ in range(7)] == [200] * 7
        assert used(provider)[LIMITED] == 9  # the check is one; it is first again, for both workers at once

    calls = place.json("grant", "calls", granted.grant_id, "--most", "100")
    assert len(calls) == 34
    first = calls[-1]
    assert [(each["credential_id"], each["status"], each["outcome"]) for each in first["attempts"]] == [
        (ids[0], 429, "provider_refused"),
        (ids[1], 401, "provider_refused"),
        (ids[2], 200, "ok"),
    ]
    assert [each["number"] for each in first["attempts"]] == [1, 2, 3]
    assert first["credential_id"] == ids[2]
    assert all(len(each["attempts"]) == 1 for each in calls[:-1])
    assert place.show(granted.grant_id)["access"][0]["requests"]["used"] == 34
    assert place.broker("ledger", "verify").startswith("OK")


def test_when_every_key_rests_both_workers_say_until_when(place: Installation, provider: FakeProvider) -> None:
    granted, _ = lent(place, LIMITED, REFUSED)
    with place.serving() as server, httpx.Client(trust_env=False, timeout=20) as app:
        headers = {"authorization": f"Bearer {granted.token}", "connection": "close"}
        for _ in range(8):
            told = app.post(f"{server.address}/proxy/openai/v1/chat/completions", json=ASK, headers=headers)
            error = told.json()["error"]
            assert (told.status_code, error["code"]) == (503, "provider_key_unavailable")
            assert 1 <= int(told.headers["retry-after"]) <= RESET
            assert error["available_at"] >= time.time()
    assert used(provider) == {LIMITED: 1, REFUSED: 1}
