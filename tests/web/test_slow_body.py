"""A body that does not come."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from broker.web.slow_body import in_time


def _pieces(*waits: float, more: bool = False) -> Receive:
    """Waits so long before each piece; after the last, `more` may still be to come, and what then comes is the end."""
    left = list(waits)

    async def receive() -> Message:
        if not left:
            await asyncio.sleep(0.1)
            return {"type": "http.disconnect"}
        await asyncio.sleep(left.pop(0))
        return {"type": "http.request", "body": b"x", "more_body": bool(left) or more}

    return receive


async def test_a_body_in_time_passes() -> None:
    receive = in_time(_pieces(0, 0), seconds=5)
    assert [(await receive())["more_body"] for _ in range(2)] == [True, False]


async def _read(receive: Receive) -> None:
    while (await receive()).get("more_body"):
        pass


@pytest.mark.parametrize(
    "pieces", [_pieces(more=True), _pieces(0.03, 0.03, 0.03, more=True)], ids=["none", "a piece now and then"]
)
async def test_a_body_that_takes_too_long_is_given_up(pieces: Receive) -> None:
    receive = in_time(pieces, seconds=0.05)
    with pytest.raises(HTTPException) as gave_up:
        await _read(receive)
    assert gave_up.value.status_code == 408


async def test_after_the_body_nobody_is_hurried() -> None:
    receive = in_time(_pieces(0), seconds=0.05)
    assert (await receive())["more_body"] is False
    assert await receive() == {"type": "http.disconnect"}
