"""However a call ends it is settled exactly once: the table of endings, row by row, and then at random."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.grant_tables import Grant
from broker.store.ledger_tables import Counter
from broker.store.tables import AuditEntry, Credential
from tests.canary import KEY
from tests.fake_provider import (
    DONE,
    LAST_CHUNK,
    Asked,
    answer_chat,
    chunk,
    completion,
    delta,
    event,
    head,
    usage,
    usage_event,
    whole,
)
from tests.proxy.world import ASK, Answered, World

ERROR = {
    "error": {"message": f"Incorrect API key provided: {KEY}. org-abc123", "type": "x", "param": None, "code": "y"}
}
STREAM = ASK | {"stream": True}

Script = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def raw(data: bytes, *, hang_up: bool = False, then_wait: float = 0) -> Script:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(then_wait)
        if hang_up:
            writer.close()

    return script


def error(status: int) -> Script:
    return raw(whole(ERROR, status, "retry-after: 7"))


CUT_JSON = head(200, "application/json", 1000) + b'{"id":'
PIECE = head(200, "text/event-stream") + chunk(event(delta("half")))

ENDINGS: dict[str, tuple[Script, dict[str, object], int, str, str]] = {
    # name: what the provider does, what is asked, the status, the mark, the cost
    "whole answer": (answer_chat, ASK, 200, "reported", "usage"),
    "whole stream": (answer_chat, STREAM, 200, "reported", "usage"),
    "no usage": (raw(whole(completion() | {"usage": None})), ASK, 200, "estimated", "bound"),
    "negative usage": (raw(whole(completion(used=usage(-10, 5)))), ASK, 200, "estimated", "bound"),
    "usage that is text": (raw(whole(completion(used={"prompt_tokens": "1e9"}))), ASK, 200, "estimated", "bound"),
    "provider 400": (error(400), ASK, 400, "not_run", "nothing"),
    "provider 401": (error(401), ASK, 503, "not_run", "nothing"),
    "provider 429": (error(429), ASK, 429, "not_run", "nothing"),
    "provider 429 to a stream": (error(429), STREAM, 429, "not_run", "nothing"),
    "provider 500": (error(500), ASK, 500, "not_run", "nothing"),
    "provider 502": (error(502), ASK, 502, "estimated", "bound"),
    "provider 500 in another shape": (raw(whole({"detail": "no"}, 500)), ASK, 500, "estimated", "bound"),
    "provider 401 in another shape": (raw(whole({"detail": "no"}, 401)), ASK, 502, "estimated", "bound"),
    "a page with 503": (raw(head(503, "text/html", 3) + b"<a>"), ASK, 503, "estimated", "bound"),
    "redirect": (raw(whole({}, 307, "location: http://127.0.0.1:1/")), ASK, 502, "estimated", "bound"),
    "no content": (raw(head(204, "application/json", 0)), ASK, 502, "estimated", "bound"),
    "not HTTP": (raw(b"garbage\r\n\r\n", hang_up=True), ASK, 502, "estimated", "bound"),
    "not JSON": (raw(head(200, "application/json", 5) + b"<html"), ASK, 502, "estimated", "bound"),
    "a page": (raw(head(200, "text/html", 2) + b"{}"), ASK, 502, "estimated", "bound"),
    "hangs up at once": (raw(b"", hang_up=True), ASK, 502, "estimated", "bound"),
    "cut in the body": (raw(CUT_JSON, hang_up=True), ASK, 502, "estimated", "bound"),
    "cut stream": (raw(PIECE, hang_up=True), STREAM, 200, "estimated", "bound"),
    "cut after the usage": (raw(PIECE + chunk(event(usage_event())), hang_up=True), STREAM, 200, "reported", "usage"),
    "silent": (raw(b"", then_wait=30), ASK, 504, "estimated", "bound"),
    "silent in the body": (raw(CUT_JSON, then_wait=30), ASK, 504, "estimated", "bound"),
    "compressed": (raw(whole(completion(), 200, "content-encoding: gzip")), ASK, 502, "estimated", "bound"),
}

SILENT = {"silent": 0.5, "silent in the body": 60.0}
"""How long is waited for the first byte."""


@pytest.mark.parametrize("name", ENDINGS)
async def test_an_ending_of_the_table(world: World, name: str) -> None:
    script, asked, status, mark, cost = ENDINGS[name]
    world.provider.script = script
    if name in SILENT:
        world.loses_patience(first_byte=SILENT[name])
    answered = await world.call(await world.token(), asked)
    [row] = await world.at_rest()
    assert (answered.status, row.mark) == (status, mark)
    assert row.cost == {"usage": 5, "bound": row.hold, "nothing": 0}[cost]
    assert KEY.encode() not in answered.body
    assert (await world.verified()).startswith("OK")


async def test_a_provider_that_is_not_there_costs_nothing(world: World) -> None:
    world.service.app._registry = type(world.service.app._registry)(
        {"BROKER_PROVIDER_OPENAI_BASE_URL": "http://127.0.0.1:1"}
    )
    answered = await world.call(await world.token(requests_per_minute=1))
    [row] = await world.at_rest()
    assert (answered.status, answered.code, row.mark, row.cost, row.reached) == (502, "provider_error", "not_run", 0, 0)


async def test_an_error_of_the_provider_keeps_its_class_and_loses_keys_and_account_ids(world: World) -> None:
    world.provider.script = error(429)
    answered = await world.call(await world.token())
    assert answered.headers["retry-after"] == "7"
    assert answered.json()["error"]["message"] == "Incorrect API key provided: [removed]. [removed]"


async def test_an_error_in_another_shape_passes_too_and_a_page_becomes_one_of_ours(world: World) -> None:
    token = await world.token()
    world.provider.script = raw(whole({"detail": f"no route for {KEY}"}, 404))
    answered = await world.call(token)
    assert (answered.status, answered.json()) == (404, {"detail": "no route for [removed]"})
    world.provider.script = raw(whole({"detail": "half of \ud83d"}, 422))
    answered = await world.call(token)
    assert (answered.status, answered.json()) == (422, {"detail": "half of ?"})
    world.provider.script = raw(head(503, "text/html", 3, "retry-after: 7") + b"<a>")
    answered = await world.call(token)
    assert (answered.status, answered.code, answered.headers["retry-after"]) == (503, "provider_error", "7")
    assert answered.headers["content-type"] == "application/json"


async def test_what_the_provider_says_of_a_key_is_kept_for_its_owner(world: World) -> None:
    async def state(tx: AsyncSession) -> str:
        return (await tx.exec(select(Credential.state).where(Credential.provider == "openai"))).one()

    token = await world.token()
    for script, status, wanted in ((error(401), 503, "refused"), (answer_chat, 200, "working")):
        world.provider.script = script
        assert (await world.call(token)).status == status
        async with asyncio.timeout(30):
            while await world.db.read(state) != wanted:  # noqa: ASYNC110 - it is written beside the answer
                await asyncio.sleep(0.01)


async def test_the_very_next_call_finds_the_grant_frozen(world: World) -> None:
    world.provider.script = raw(whole(completion(used=usage(1_000_000, 5))))
    token = await world.token()
    answered = [await world.call(token) for _ in range(2)]
    assert [(each.status, each.code) for each in answered[1:]] == [(403, "grant_frozen")]
    assert (answered[0].status, len(await world.at_rest())) == (200, 1)


async def test_a_provider_that_bills_more_than_the_bound_freezes_the_grant(world: World) -> None:
    world.provider.script = raw(whole(completion(used=usage(1_000_000, 5))))
    token = await world.token()
    await world.call(token)
    [row] = await world.at_rest()
    assert (row.mark, row.cost) == ("reported", row.hold)
    assert row.cost + row.overrun == 150_003

    async def states(tx: AsyncSession) -> tuple[str, list[str]]:
        events = (await tx.exec(select(AuditEntry.event))).all()
        return (await tx.exec(select(Grant.state))).one(), list(events)

    state, events = await world.db.read(states)
    assert state == "frozen"
    assert "grant.frozen" in events
    assert (await world.call(token)).code == "grant_frozen"
    assert (await world.verified()).startswith("OK")


async def test_an_app_that_leaves_before_the_first_byte_pays_what_was_used(world: World) -> None:
    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        await answer_chat(asked, writer)

    world.provider.script = slow
    for asked in (ASK, STREAM):
        await world.call(await world.token(), asked, leave_after=0)
    assert {(row.mark, row.cost, row.outcome) for row in await world.at_rest()} == {("reported", 5, "client_left")}


async def test_an_app_that_leaves_an_endless_stream_pays_the_bound(world: World) -> None:
    async def endless(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream"))
        while True:
            writer.write(chunk(event(delta("x" * 60_000))))
            await writer.drain()

    world.provider.script = endless
    await world.call(await world.token(), STREAM, leave_after=1)
    [row] = await world.at_rest()
    assert (row.mark, row.cost) == ("estimated", row.hold)


async def test_two_hundred_calls_that_end_at_random_are_each_settled_once(world: World) -> None:
    chance = random.Random(20_261_122)
    names = [name for name in ENDINGS if "silent" not in name]
    scripts = [chance.choice(names) for _ in range(200)]
    token = await world.token(budget=50_000_000, max_requests=1000)

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await ENDINGS[asked.json()["user"]][0](asked, writer)

    world.provider.script = script

    async def one(name: str, leaves: int | None) -> Answered:
        return await world.call(token, {**ENDINGS[name][1], "user": name}, leave_after=leaves)

    leaving = [chance.choice([None, None, None, 0, 1, 2]) for _ in scripts]
    for start in range(0, 200, 25):
        await asyncio.gather(*map(one, scripts[start : start + 25], leaving[start : start + 25]))
    rows = await world.at_rest()
    assert len(rows) == 200
    assert all(row.mark and row.cost <= row.hold for row in rows)

    async def counters(tx: AsyncSession) -> list[Counter]:
        return list((await tx.exec(select(Counter))).all())

    money, requests = sorted(await world.db.read(counters), key=lambda counter: counter.measure)
    assert (money.held, requests.held) == (0, 0)
    assert money.settled == sum(row.cost for row in rows)
    assert requests.settled == sum(row.mark != "not_run" for row in rows)
    assert (await world.verified()).startswith("OK: 200 calls")


async def test_chunks_after_the_end_are_not_waited_for(world: World) -> None:
    world.provider.script = raw(PIECE + chunk(event(usage_event())) + chunk(DONE) + LAST_CHUNK)
    answered = await world.call(await world.token(), STREAM)
    assert answered.body.endswith(DONE)
