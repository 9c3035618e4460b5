"""What nobody thought of while a call was judged forwards nothing, and leaves nobody without an answer."""

import asyncio

import pytest

from tests.proxy.world import World


async def test_books_that_break_in_an_unknown_way_refuse(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a row that cannot be read")

    token = await world.token()
    monkeypatch.setattr("broker.ledger.transaction.check_state", broken)
    async with asyncio.timeout(30):
        answered = await world.call(token)
    assert (answered.status, answered.code) == (503, "unavailable")
    assert world.provider.asked == []
    monkeypatch.undo()
    assert (await world.call(token)).status == 200
