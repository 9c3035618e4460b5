"""Streams that begin by a head that is known: as on the complete way, whatever becomes of them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.core.grant import GrantEvent
from broker.store import grants
from tests.canary import KEY
from tests.fake_provider import DONE, LAST_CHUNK, Asked, chunk, delta, event, head, usage_event, whole
from tests.proxy.asked import AskedAtSight, begun, learn
from tests.proxy.pool import KEYS, LIMITED, Open
from tests.proxy.test_pool import piece, stream
from tests.proxy.test_straight import plain
from tests.proxy.world import ASK, GRANT_OF, World

STREAM: dict[str, Any] = ASK | {"stream": True}
WITH_USAGE = STREAM | {"stream_options": {"include_usage": True}}
WORDS = event(delta("Hello")) + event(delta(" there")) + event(delta("."))
EVENTS = head(200, "text/event-stream")


async def started(world: World, token: str, body: object = STREAM) -> AskedAtSight:
    """One whose head came before; the first call is answered as always."""
    script = world.provider.script
    world.provider.script = _usual
    [begin] = await learn(world, token, STREAM)
    await world.at_rest()
    world.provider.script = script
    return await begun(begin, body)


async def ended(asked: AskedAtSight) -> AskedAtSight:
    await asyncio.wait_for(asked.over.wait(), 10)
    return asked


async def _usual(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(EVENTS + chunk(WORDS) + chunk(event(usage_event()) + DONE) + LAST_CHUNK)


def saying(*pieces: bytes, last: bytes = LAST_CHUNK, gate: asyncio.Event | None = None) -> Any:
    """A stream in these pieces; after the first of them it waits at the gate."""

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(EVENTS)
        for number, each in enumerate(pieces):
            if number and gate is not None:
                await gate.wait()
            writer.write(chunk(each))
            await writer.drain()
        writer.write(last)
        if not last:
            writer.close()

    return script


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - it is another server, which tells nobody
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("body", [STREAM, WITH_USAGE], ids=["no usage asked", "usage asked"])
async def test_it_is_answered_and_booked_as_on_the_complete_way(world: World, body: Any) -> None:
    first, second = await world.token(requests_per_minute=5), await world.token(requests_per_minute=5)
    await world.call(first)
    await world.at_rest()
    complete = await world.call(first, body)
    straight = (await ended(await started(world, second, body))).answered
    assert (straight.status, straight.body, straight.ended) == (200, complete.body, True)
    assert plain(straight) == plain(complete)
    assert straight.headers["x-request-id"] == straight.headers["request-id"] != ""
    told = [(asked.target, asked.headers, asked.body) for asked in world.provider.asked if asked.json().get("stream")]
    assert len(told) == 3
    assert told[0] == told[1] == told[2]
    rows = [row for row in await world.at_rest() if row.streamed]
    assert len({(row.cost, row.mark, row.outcome, row.status, row.reached, row.hold, row.price) for row in rows}) == 1
    assert {row.mark for row in rows} == {"reported"}
    assert (await world.verified()).startswith("OK")


async def test_the_head_of_a_stream_is_kept_for_both_kinds(world: World) -> None:
    [begin] = await learn(world, await world.token(), STREAM)
    await world.at_rest()
    plain_call = await ended(await begun(begin, ASK))
    assert plain_call.answered.json()["object"] == "chat.completion"
    assert (await ended(await begun(begin, STREAM))).answered.body == WORDS + DONE
    assert plain_call.tasks == []


async def test_it_takes_no_task(world: World) -> None:
    gate = asyncio.Event()
    world.provider.script = saying(WORDS, event(usage_event()) + DONE, gate=gate)
    asked = await started(world, await world.token())
    await until(lambda: asked.answered.pieces)
    assert {task for task in asyncio.all_tasks() if "Exchange" in repr(task)} == set()
    gate.set()
    await ended(asked)
    assert asked.tasks == []
    await world.at_rest()
    assert world.service.app.usual.calls == set()


async def test_each_event_is_there_before_the_next_is_sent(world: World) -> None:
    gate = asyncio.Event()
    world.provider.script = saying(event(delta("one")), event(usage_event()) + DONE, gate=gate)
    asked = await started(world, await world.token())
    await until(lambda: asked.answered.pieces)
    assert asked.answered.body == event(delta("one"))
    assert not asked.over.is_set()
    gate.set()
    assert (await ended(asked)).answered.body == event(delta("one")) + DONE


@pytest.mark.parametrize("body", [STREAM, WITH_USAGE], ids=["no usage asked", "usage asked"])
async def test_a_stream_cut_at_every_byte_says_the_same(world: World, body: Any) -> None:
    said = b": hello\r\n\r\n" + 'data: {"a":"é"}\r\r'.encode() + event(usage_event()) + DONE
    world.provider.script = saying(*(said[at : at + 1] for at in range(len(said))))
    answered = (await ended(await started(world, await world.token(), body))).answered
    assert answered.body == (said if body is WITH_USAGE else said.replace(event(usage_event()), b""))
    assert {(row.mark, row.cost) for row in await world.at_rest()} == {("reported", 5)}


@pytest.mark.parametrize(
    "answer",
    [
        whole({"error": {"message": f"Slow down, org-abcdef {KEY}"}}, 429, "retry-after: 3"),
        whole({"error": {"message": "Not so.", "type": "invalid_request_error"}}, 400),
        whole({"id": "a"}),
        head(200, "text/html", 2) + b"hi",
        head(200, "text/event-stream", None, "content-encoding: gzip") + chunk(b"x") + LAST_CHUNK,
        EVENTS + chunk(event({"error": {"message": "It broke, org-abcdef."}})) + LAST_CHUNK,
        EVENTS + chunk(WORDS + event({"error": {"message": "It broke, org-abcdef."}})) + LAST_CHUNK,
        EVENTS + chunk(WORDS) + LAST_CHUNK,
        EVENTS + chunk(WORDS + b"data: half") + LAST_CHUNK,
        EVENTS + LAST_CHUNK,
        EVENTS + chunk(WORDS + event(delta(f"The key is {KEY}."))) + LAST_CHUNK,
        EVENTS + chunk(b"x" * 4_200_000) + LAST_CHUNK,
        EVENTS + b"z\r\n",
    ],
    ids=[
        "refused for its rate", "refused", "no stream", "a page", "packed", "an error at once", "an error later",
        "no end", "half an event", "nothing", "the key", "an event without end", "no chunk",
    ],
)  # fmt: skip
async def test_what_goes_wrong_ends_as_on_the_complete_way(world: World, answer: bytes) -> None:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    first, second = await world.token(), await world.token()
    world.provider.script = script
    complete = await world.call(first, STREAM)
    straight = (await ended(await started(world, second))).answered
    assert (straight.status, straight.body, straight.ended) == (complete.status, complete.body, complete.ended)
    assert straight.headers.get("retry-after") == complete.headers.get("retry-after")
    assert KEY not in straight.body.decode()
    rows = [row for row in await world.at_rest() if row.outcome != "ok"]
    assert len({(row.cost, row.mark, row.outcome, row.status, row.reached) for row in rows}) == 1
    assert len(rows) == 2


async def test_one_that_breaks_off_ends_with_an_error_and_takes_the_bound(world: World) -> None:
    world.provider.script = saying(WORDS, last=b"")
    answered = (await ended(await started(world, await world.token()))).answered
    assert answered.body.startswith(WORDS)
    assert json.loads(answered.body.removeprefix(WORDS + b"data: "))["error"]["code"] == "provider_error"
    [estimated] = [row for row in await world.at_rest() if row.mark == "estimated"]
    assert (estimated.cost, estimated.outcome) == (estimated.hold, "broken")


async def test_a_provider_that_falls_silent_is_not_waited_for(world: World) -> None:
    world.provider.script = saying(WORDS, DONE, gate=asyncio.Event())
    world.loses_patience()
    answered = (await ended(await started(world, await world.token()))).answered
    assert b"provider_timeout" in answered.body
    assert "timed_out" in {row.outcome for row in await world.at_rest()}


async def test_it_is_cut_when_its_grant_is_revoked(world: World) -> None:
    token = await world.token()
    world.provider.script = saying(WORDS, DONE, gate=asyncio.Event())
    asked = await started(world, token)
    await until(lambda: asked.answered.pieces)
    await world.change(lambda tx: grants.move(tx, GRANT_OF[token], GrantEvent.REVOKE, world.clock()))
    await ended(asked)
    assert asked.answered.body.startswith(WORDS + b"data: ")
    assert b"invalid_token" in asked.answered.body
    assert sorted(row.mark for row in await world.at_rest()) == ["estimated", "reported"]


async def test_an_app_that_leaves_pays_for_what_it_got(world: World) -> None:
    gate = asyncio.Event()
    world.provider.script = saying(WORDS, event(usage_event()) + DONE, gate=gate)
    asked = await started(world, await world.token())
    await until(lambda: asked.answered.pieces)
    asked.hang_up()
    gate.set()
    await ended(asked)  # so that its connection ends
    rows = await world.at_rest()
    assert {(row.mark, row.cost) for row in rows} == {("reported", 5)}
    assert sorted(row.outcome for row in rows) == ["client_left", "ok"]


async def test_what_its_app_does_not_read_waits(world: World) -> None:
    gate = asyncio.Event()
    world.provider.script = saying(WORDS, WORDS, event(usage_event()) + DONE, gate=gate)
    asked = await started(world, await world.token())
    asked.fills = True
    await until(lambda: asked.full)
    gate.set()
    await asyncio.sleep(0.1)
    assert asked.answered.body == WORDS
    asked.fills, read_on = False, asked.full
    assert read_on is not None
    read_on()
    assert (await ended(asked)).answered.body == WORDS + WORDS + DONE
    assert asked.tasks == []
    assert {row.outcome for row in await world.at_rest()} == {"ok"}


async def test_what_runs_when_the_server_stops_is_settled(world: World) -> None:
    world.provider.script = saying(WORDS, DONE, gate=asyncio.Event())
    asked = await started(world, await world.token())
    await until(lambda: asked.answered.pieces)
    await world.service.app.stop(5)
    assert b"unavailable" in asked.answered.body
    assert {row.state for row in await world.at_rest()} == {"settled"}


async def test_of_several_keys_the_next_is_asked_when_the_first_event_is_a_limit(world: World, pool: Open) -> None:
    last = event(usage_event())
    made = await pool({KEYS[0]: stream(event(LIMITED)), KEYS[1]: stream(piece("Hel"), piece("lo"), last, DONE)})
    asked = await started(world, made.token)
    answered = (await ended(asked)).answered
    assert answered.body == piece("Hel") + piece("lo") + DONE
    assert await made.attempts() == [("a", 429, "provider_refused")]
    assert {row.mark for row in await world.at_rest()} == {"reported"}
