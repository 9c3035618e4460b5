"""Another transport is put in at the one door, by the one name there, and every call goes by it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from broker.providers import client as door
from broker.providers.answer import Answer
from broker.providers.client import Headers, Progress, ProviderClient, Waits, provider_client
from tests.canary import KEY, KEYS
from tests.fake_provider import completion, usage
from tests.proxy.asked import begun, learn
from tests.proxy.world import World
from tests.rights.place import open_place

SAID = completion("By heart.", usage(100, 50))


class FromMemory:
    """Knows one answer by heart, and has no connection; every second request has to wait for its turn."""

    def __init__(self, waits: Waits, **_more: object) -> None:
        self.waits = waits
        self.asked: list[tuple[str, Headers]] = []
        self.has_rested = False
        self.is_closed = False

    async def send(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes = b"",
        progress: Progress | None = None,
        waits: Waits | None = None,
        *,
        brought: bool = False,
    ) -> Answer:
        if progress is not None:
            progress.wrote = True
        answer = self._answer(url, headers)
        await answer.head()
        return answer

    def start(self, url: str, headers: Headers) -> Any:
        return url, headers

    def send_at_once(self, start: Any, headers: Headers, body: bytes) -> Answer | None:
        self.has_rested = not self.has_rested
        return None if self.has_rested else self._answer(start[0], start[1] + headers)

    async def send_on_another(self, start: Any, headers: Headers, body: bytes) -> Answer:
        await asyncio.sleep(0)
        return self._answer(start[0], start[1] + headers)

    async def close(self) -> None:
        self.is_closed = True

    def _answer(self, url: str, headers: Headers) -> Answer:
        self.asked.append((url, headers))
        answer = Answer(self)
        asyncio.get_running_loop().call_soon(self._say, answer)
        return answer

    def _say(self, answer: Answer) -> None:
        answer.status, answer.headers = 200, [(b"content-type", b"application/json")]
        answer.pieces.append(json.dumps(SAID).encode())
        answer.size = len(answer.pieces[0])
        answer.ended = True
        answer.part()

    # What an answer wants of its wire.

    def read_on(self) -> None:
        """All of it has come."""

    def hang_up(self) -> None:
        """There is nothing to hang up."""


@pytest.fixture(autouse=True)
def another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line, as somebody would change it."""
    monkeypatch.setattr(door, "PooledClient", FromMemory)


@pytest.fixture
async def client(waits: Waits) -> ProviderClient:
    return provider_client(waits)


async def test_the_whole_program_calls_by_it(tmp_path: Path, migrated: Path) -> None:
    async with open_place(tmp_path, migrated) as place:
        tokens = await place.granted(await place.browser(await place.person()), await place.client())
        answer = await place.call(tokens["access_token"])
        assert (answer.status_code, answer.json()) == (200, SAID)
        used = place.workers[0]._parts.client
        assert isinstance(used, FromMemory)
        [(url, headers)] = used.asked
        assert url == f"{place.provider.url}/v1/chat/completions"
        assert (b"authorization", f"Bearer {KEY}".encode()) in headers
        assert place.provider.asked == []
    assert used.is_closed


async def test_the_straight_way_goes_by_it_at_once_and_after_a_wait(world: World, client: FromMemory) -> None:
    [begin] = await learn(world, await world.token())
    await world.at_rest()
    for _ in range(2):
        asked = await begun(begin)
        async with asyncio.timeout(10):
            await asked.over.wait()
        assert (asked.answered.status, asked.answered.json(), asked.tasks) == (200, SAID, [])
    assert [(row.mark, row.outcome) for row in await world.at_rest()] == [("reported", "ok")] * 3
    assert [(b"authorization", f"Bearer {KEYS['openai']}".encode()) in headers for _, headers in client.asked] == [
        True
    ] * 3
    assert world.provider.asked == []
