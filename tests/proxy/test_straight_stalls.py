"""A stream on the straight way whose app stops to read."""

import asyncio
from pathlib import Path

import pytest

from broker.settings import Settings
from tests.fake_provider import DONE, event, usage_event
from tests.proxy.test_straight_streams import WORDS, ended, saying, started, until
from tests.proxy.world import World


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return Settings(data_dir=tmp_path, upstream_silence_seconds=1)


async def test_an_app_that_reads_nothing_for_too_long_counts_as_gone(world: World) -> None:
    gate = asyncio.Event()
    world.provider.script = saying(WORDS, event(usage_event()) + DONE, gate=gate)
    asked = await started(world, await world.token())
    asked.fills = True
    await until(lambda: asked.full)
    gate.set()
    await ended(asked)
    assert not asked.answered.ended
    rows = await world.at_rest()
    assert sorted(row.outcome for row in rows) == ["client_left", "ok"]
    assert {(row.mark, row.cost) for row in rows} == {("reported", 5)}
