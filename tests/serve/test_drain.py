"""The end of a server with a call still running: it may go on for a while, then it is cut and settled."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fake_provider import Asked, chunk, delta, event, head, provider_in_a_thread
from tests.serve.installation import ASK, Granted, Installation
from tests.serve.running import Running


async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Streams until the other side closes."""
    writer.write(head(200, "text/event-stream"))
    while not writer.is_closing():
        writer.write(chunk(event(delta("word "))))
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.fixture
def place(folder: Path) -> Iterator[Installation]:
    with provider_in_a_thread(endless) as provider:
        yield Installation(folder, {"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url})


def _events(server: Running, granted: Granted) -> Iterator[dict[str, Any]]:
    with httpx.stream(
        "POST",
        f"{server.address}/proxy/openai/v1/chat/completions",
        json=ASK | {"stream": True},
        headers={"authorization": f"Bearer {granted.token}"},
        trust_env=False,
        timeout=60,
    ) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))


def _at_rest(place: Installation, granted: Granted) -> bool:
    budget = place.show(granted.grant_id)["access"][0]["budget"]
    return bool(budget["held"] == 0 and budget["settled"] > 0)


def test_a_running_stream_goes_on_until_the_drain_ends_and_is_then_cut_and_settled(place: Installation) -> None:
    place.settings["BROKER_DRAIN_SECONDS"] = "1"
    place.furnish()
    granted = place.grant()
    with place.serving() as server:
        events = _events(server, granted)
        next(events)
        told_at = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        last = list(events)[-1]
        # The server's loop counts in milliseconds.
        assert time.monotonic() - told_at >= 0.99
        assert last["error"]["code"] == "unavailable"
        assert server.process.wait(30) == 0
    assert _at_rest(place, granted)
    assert place.broker("ledger", "verify").startswith("OK: 1 call,")


def test_one_that_was_begun_at_sight_is_cut_and_settled_as_any_other(place: Installation) -> None:
    place.settings["BROKER_DRAIN_SECONDS"] = "1"
    place.furnish()
    granted = place.grant()
    with place.serving() as server:
        before = _events(server, granted)
        next(before)
        running = _events(server, granted)
        next(running)
        server.process.send_signal(signal.SIGTERM)
        assert list(running)[-1]["error"]["code"] == "unavailable"
        assert list(before)[-1]["error"]["code"] == "unavailable"
        assert server.process.wait(30) == 0
    assert _at_rest(place, granted)
    assert place.broker("ledger", "verify").startswith("OK: 2 calls")


def test_a_second_signal_does_not_wait_for_the_drain(place: Installation) -> None:
    place.settings["BROKER_DRAIN_SECONDS"] = "600"
    place.furnish()
    granted = place.grant()
    with place.serving() as server:
        events = _events(server, granted)
        next(events)
        server.process.send_signal(signal.SIGTERM)
        next(events)
        server.process.send_signal(signal.SIGTERM)
        assert list(events)[-1]["error"]["code"] == "unavailable"
        assert server.process.wait(30) == 0
    assert _at_rest(place, granted)
    assert place.broker("ledger", "verify").startswith("OK: 1 call,")
