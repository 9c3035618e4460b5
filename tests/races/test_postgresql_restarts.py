"""PostgreSQL ends in the middle of the work and comes back: nothing is forwarded without a hold, and all go on by themselves."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker.start import asked
from broker.store import migrate
from tests.patience import promised
from tests.postgresql_server import Cluster
from tests.races.brokers import Provider, at_rest, call, installed, serving
from tests.races.watch import marks
from tests.serve.installation import Granted, Installation, dollars
from tests.serve.running import eventually

CLIENTS = 12
AWAY_SECONDS = 2.0
BACK_WITHIN = promised(10.0, beside_others=40.0)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster.begun() as made:
        asked(migrate.upgrade_postgresql(made.url))
        yield made


class Load:
    """Apps that ask again as soon as they are answered."""

    def __init__(self, https: list[httpx.AsyncClient], granted: Granted) -> None:
        self.said: list[tuple[float, int, str]] = []
        """When, the status, and the code of a refusal."""
        self._over = False
        self._apps = [asyncio.create_task(self._ask(https[n % len(https)], granted)) for n in range(CLIENTS)]

    async def _ask(self, http: httpx.AsyncClient, granted: Granted) -> None:
        while not self._over:
            answered = await call(http, granted)
            code = "" if answered.status_code == 200 else answered.json()["error"]["code"]
            self.said.append((time.monotonic(), answered.status_code, code))
            if code:
                await asyncio.sleep(0.05)

    def statuses(self, after: float, before: float = float("inf")) -> list[int]:
        return [status for at, status, _ in self.said if after < at < before]

    async def until(self, status: int, after: float) -> None:
        while status not in self.statuses(after):  # noqa: ASYNC110 - they say it by a list
            await asyncio.sleep(0.01)

    async def go_on(self) -> None:
        """Until nobody was refused for half a second."""
        while set(self.statuses(time.monotonic() - 0.5)) != {200}:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        """Each has its last answer: a call that is hung up on would be settled later."""
        self._over = True
        await asyncio.gather(*self._apps)


async def test_while_it_is_away_calls_are_unavailable_and_then_all_go_on(cluster: Cluster, tmp_path: Path) -> None:
    places = await asyncio.to_thread(installed, tmp_path, cluster.url, "one", "two")
    granted = await asyncio.to_thread(lambda: places[0].grant(budget=dollars(50_000_000)))
    script = Provider()
    script.go_on.set()
    async with serving(places, script) as (provider, _, https):
        load = Load(https, granted)
        await load.until(200, 0)
        await asyncio.sleep(0.5)
        ended = await asyncio.to_thread(_end, cluster)
        await asyncio.sleep(AWAY_SECONDS)
        assert set(load.statuses(ended + 1.0)) == {503}
        await asyncio.to_thread(cluster.begin)
        back = time.monotonic()
        for http in https:
            await asyncio.wait_for(_served(http, granted), BACK_WITHIN)
        await asyncio.wait_for(load.go_on(), BACK_WITHIN)
        await load.end()
        assert {code for _, _, code in load.said} == {"", "unavailable"}
        assert time.monotonic() - back < BACK_WITHIN
        await asyncio.to_thread(eventually, lambda: at_rest(places[0], granted), within=60)
        ran = [mark for mark in await marks(cluster.url, granted.grant_id) if mark != "not_run"]
        assert len(ran) == len(provider.asked)
    assert (await asyncio.to_thread(_verified, places[1])).startswith("OK: ")


def _end(cluster: Cluster) -> float:
    cluster.end(signal.SIGQUIT)
    return time.monotonic()


async def _served(http: httpx.AsyncClient, granted: Granted) -> None:
    while (await call(http, granted)).status_code != 200:  # noqa: ASYNC110 - that is the question
        await asyncio.sleep(0.05)


def _verified(place: Installation) -> str:
    return place.broker("ledger", "verify")
