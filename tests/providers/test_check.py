"""Only what the provider itself says of a key counts."""

import pytest

from broker.core.secret import Secret
from broker.providers.check import KeyCheck, Verdict
from broker.providers.client import Waits
from broker.providers.registry import Provider
from tests.providers.wire import client_of, connected, ending_with, saying, serving

KEY = Secret("test-key-of-nobody")


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, "working"), (401, "refused"), (403, "refused"), (404, "unreachable"), (500, "unreachable")]
)  # fmt: skip
async def test_a_verdict_is_the_status_of_the_list_of_models(waits: Waits, status: int, verdict: Verdict) -> None:
    said = f"HTTP/1.1 {status} Said\r\ncontent-length: 2\r\n\r\n{{}}".encode()
    async with serving(saying(said)) as wire, client_of(waits) as client:
        provider = Provider("openai", "openai", f"http://127.0.0.1:{wire.port}")
        assert await KeyCheck(client)(provider, KEY) == verdict
        [asked] = wire.asked
        assert asked.startswith(b"GET /v1/models HTTP/1.1\r\n")
        assert b"\r\nauthorization: Bearer test-key-of-nobody\r\n" in asked


async def test_a_provider_that_breaks_off_says_nothing(waits: Waits) -> None:
    async with serving(ending_with(b"HTTP/1.1 200")) as wire, client_of(waits) as client:
        provider = Provider("openai", "openai", f"http://127.0.0.1:{wire.port}")
        assert await KeyCheck(client)(provider, KEY) == "unreachable"


@pytest.mark.parametrize("key", ["two\r\nlines: of it", "schlüssel"])
async def test_a_key_that_cannot_stand_in_a_header_is_not_sent(waits: Waits, key: str) -> None:
    async with serving(saying(b"")) as wire, client_of(waits) as client:
        provider = Provider("openai", "openai", f"http://127.0.0.1:{wire.port}")
        assert await KeyCheck(client)(provider, Secret(key)) == "unreachable"
        assert (wire.opened, connected(client)) == (0, 0)
