"""What the operator has set holds from the next call on: once the command has ended, on every worker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.canary import KEYS
from tests.fake_provider import FakeProvider, answer_chat, provider_in_a_thread
from tests.serve.installation import ASK, Granted, Installation
from tests.serve.running import Running

NAME = "local"
MODEL = "llama3.2:1b"
CALLS = 8
ANEW = httpx.Limits(max_keepalive_connections=0)
"""Each call on a connection of its own, so that each of two workers have some."""


@pytest.fixture
def upstream() -> Iterator[FakeProvider]:
    with provider_in_a_thread(answer_chat) as started:
        yield started


@pytest.fixture(params=["1", "2"], ids=["one-worker", "two-workers"])
def place(tmp_path: Path, upstream: FakeProvider, request: pytest.FixtureRequest) -> Installation:
    installation = Installation(tmp_path, {"BROKER_WORKERS": request.param})
    installation.furnish()
    return installation


def add_provider(place: Installation, upstream: FakeProvider) -> None:
    place.broker("provider", "add", NAME, "--dialect", "openai", "--base-url", upstream.url)


def set_price(place: Installation, dollars: int) -> None:
    place.broker("price", "set", NAME, MODEL, "--input", str(dollars), "--output", str(dollars))


def granted(place: Installation) -> Granted:
    words = ("key", "add", "--provider", NAME, "--user", "ana@example.com", "--no-check")
    place.broker(*words, stdin=KEYS["openai"] + "\n")
    return place.grant(provider=NAME, models=[MODEL])


def said(at: Running, token: str, **more: Any) -> set[tuple[int, str]]:
    """Of several calls, one after the other: each status, with what the refusal is called."""
    path, headers, told = f"/proxy/{NAME}/v1/chat/completions", {"authorization": f"Bearer {token}"}, set()
    with httpx.Client(base_url=at.address, trust_env=False, timeout=20, limits=ANEW) as app:
        for _ in range(CALLS):
            answer = app.post(path, json=ASK | {"model": MODEL} | more, headers=headers)
            told.add((answer.status_code, "" if answer.is_success else answer.json()["error"]["code"]))
    return told


def cost(place: Installation, at: Running, grant: Granted) -> int:
    """Of several calls, in micro-dollars."""
    before = place.settled(grant.grant_id)
    assert said(at, grant.token) == {(200, "")}
    return place.settled(grant.grant_id) - before


def test_a_provider_that_was_added_is_there(place: Installation, upstream: FakeProvider) -> None:
    other = place.grant()
    with place.serving() as at:
        assert said(at, other.token) == {(404, "not_found")}
        add_provider(place, upstream)
        assert said(at, other.token) == {(403, "provider_not_granted")}


def test_a_price_that_was_set_is_the_price(place: Installation, upstream: FakeProvider) -> None:
    add_provider(place, upstream)
    grant = granted(place)
    with place.serving() as at:
        assert said(at, grant.token) == {(403, "no_price")}
        set_price(place, 1)
        once = cost(place, at, grant)
        set_price(place, 10)
        assert cost(place, at, grant) == 10 * once
        place.broker("price", "markup", NAME, "100")
        assert cost(place, at, grant) == 20 * once
        place.broker("price", "load", "-", stdin=f"provider,model,input,output\n{NAME},{MODEL},2,2\n")
        assert cost(place, at, grant) == 4 * once
        place.broker("price", "remove", NAME, MODEL)
        assert said(at, grant.token) == {(403, "no_price")}


def test_a_field_that_was_allowed_crosses(place: Installation, upstream: FakeProvider) -> None:
    add_provider(place, upstream)
    set_price(place, 1)
    grant = granted(place)
    with place.serving() as at:
        assert said(at, grant.token, top_k=5) == {(403, "not_boundable")}
        place.broker("provider", "set", NAME, "--allow-field", "top_k")
        assert said(at, grant.token, top_k=5) == {(200, "")}
