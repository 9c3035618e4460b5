"""Calls that begin by a head that is known: as on the complete way, whatever becomes of them."""

import asyncio
import json

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.store import grants
from tests.canary import KEY
from tests.fake_provider import LAST_CHUNK, Asked, chunk, completion, head, whole
from tests.proxy.asked import AskedAtSight, begun, learn
from tests.proxy.world import ASK, GRANT_OF, JKT_OF, Answered, World


async def at_sight(world: World, token: str, body: object = None) -> Answered:
    [begin] = await learn(world, token)
    asked = await begun(begin, body)
    await asyncio.wait_for(asked.over.wait(), 10)
    return asked.answered


def plain(answered: Answered) -> dict[str, str]:
    """The headers that two calls alike have in common."""
    return {name: value for name, value in answered.headers.items() if name not in ("x-request-id", "request-id")}


async def test_it_is_answered_and_booked_as_on_the_complete_way(world: World) -> None:
    first, second = await world.token(requests_per_minute=5), await world.token(requests_per_minute=5)
    await world.call(first)
    complete, straight = await world.call(first), await at_sight(world, second)
    assert (straight.status, straight.body) == (complete.status, complete.body)
    assert plain(straight) == {name: value for name, value in plain(complete).items() if name != "content-length"}
    assert straight.headers["x-request-id"] == straight.headers["request-id"] != ""
    told = [(asked.target, asked.headers, asked.body) for asked in world.provider.asked]
    assert told[3] == told[0] == told[1]
    rows = await world.at_rest()
    assert len({(row.cost, row.mark, row.outcome, row.status, row.reached, row.hold, row.price) for row in rows}) == 1
    assert (await world.verified()).startswith("OK")


async def test_who_comes_by_the_head_of_another_has_a_call_of_their_own(world: World) -> None:
    first, second = await world.token(), await world.token(max_output_tokens=9)
    [begin] = await learn(world, first, then=second)
    asked = await begun(begin)
    await asyncio.wait_for(asked.over.wait(), 10)
    assert asked.answered.status == 200
    rows = await world.at_rest()
    assert len({row.grant_id for row in rows}) == len({row.jti for row in rows}) == 2
    assert sorted(row.output_bound for row in rows) == [9, 100]


async def test_who_is_revoked_is_not_let_in_by_the_head_of_another(world: World) -> None:
    first, second = await world.token(), await world.token()
    [begin] = await learn(world, first, then=second)
    await world.db.write(lambda tx: grants.move(tx, GRANT_OF[second], GrantEvent.REVOKE, world.clock()))
    asked = await begun(begin)
    await asyncio.wait_for(asked.over.wait(), 10)
    assert (asked.answered.status, len(world.provider.asked)) == (401, 1)


@pytest.mark.parametrize("other", ["", "not.a.token", "a" * 500])
async def test_what_is_no_token_is_not_begun_by_the_head_of_one(world: World, other: str) -> None:
    token = await world.token()
    [begin] = await learn(world, token, then=other)
    assert not begin(json.dumps(ASK).encode(), AskedAtSight())


async def test_a_token_that_is_bound_to_a_key_is_not_begun_by_the_head_of_a_bearer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await world.token(), await world.token()
    [begin] = await learn(world, first, then=second)
    monkeypatch.setitem(JKT_OF, second, "a-thumbprint")
    assert not begin(json.dumps(ASK).encode(), AskedAtSight())


async def test_a_head_with_two_tokens_is_not_kept(world: World) -> None:
    token = await world.token()
    assert await learn(world, token, **{"x-api-key": token}) == []


async def test_it_takes_no_task(world: World) -> None:
    [begin] = await learn(world, await world.token())
    await world.at_rest()
    before = asyncio.all_tasks()
    asked = await begun(begin)
    while not asked.over.is_set():
        await asyncio.sleep(0)
        assert {task for task in asyncio.all_tasks() - before if "Exchange" in repr(task)} == set()
    assert asked.tasks == []
    await world.at_rest()
    assert world.service.app.usual.calls == set()


async def test_another_body_is_read_and_bounded_anew(world: World) -> None:
    await at_sight(world, await world.token(), ASK | {"max_tokens": 7})
    rows = await world.at_rest()
    assert sorted(row.output_bound for row in rows) == [7, 100]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": 1}'])
async def test_what_is_not_a_plain_call_is_not_begun(world: World, body: bytes) -> None:
    [begin] = await learn(world, await world.token())
    assert not begin(body, AskedAtSight())
    assert len(await world.at_rest()) == 1


@pytest.mark.parametrize("name", ["idempotency-key", "origin", "dpop", "expect", "x-anything"])
async def test_a_head_with_a_header_that_may_mean_something_is_not_kept(world: World, name: str) -> None:
    assert await learn(world, await world.token(), **{name: "a"}) == []


async def test_a_head_is_read_again_after_any_change(world: World) -> None:
    [begin] = await learn(world, await world.token())
    await world.change(_nothing)
    await world.service._look()
    assert not begin(json.dumps(ASK).encode(), AskedAtSight())


async def test_a_revoked_grant_is_refused_at_the_next_call(world: World) -> None:
    token = await world.token()
    [begin] = await learn(world, token)
    await world.db.write(lambda tx: grants.move(tx, GRANT_OF[token], GrantEvent.REVOKE, world.clock()))
    asked = await begun(begin)
    await asyncio.wait_for(asked.over.wait(), 10)
    assert (asked.answered.status, asked.answered.code) == (401, "invalid_token")
    assert len(world.provider.asked) == 1


async def test_a_refusal_has_the_words_of_the_complete_way(world: World) -> None:
    first, second = await world.token(max_requests=1), await world.token(max_requests=1)
    await world.call(first)
    complete, straight = await world.call(first), await at_sight(world, second)
    assert straight.status == complete.status == 402
    told, wanted = straight.json()["error"], complete.json()["error"]
    assert told.pop("manage_url")
    assert wanted.pop("manage_url")
    assert told == wanted


async def test_an_error_of_the_provider_passes_without_its_account(world: World) -> None:
    [begin] = await learn(world, await world.token())

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(whole({"error": {"message": f"Slow down, org-abcdef {KEY}"}}, 429, "retry-after: 3"))

    world.provider.script = script
    asked = await begun(begin)
    await asyncio.wait_for(asked.over.wait(), 10)
    assert (asked.answered.status, asked.answered.headers["retry-after"]) == (429, "3")
    assert KEY not in asked.answered.body.decode()
    assert sorted(row.mark for row in await world.at_rest()) == ["not_run", "reported"]


async def test_an_answer_in_pieces_is_one_answer(world: World) -> None:
    [begin] = await learn(world, await world.token())
    raw = json.dumps(completion("x" * 200_000)).encode()

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "application/json"))
        for at in range(0, len(raw), 50_000):
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(chunk(raw[at : at + 50_000]))
        writer.write(LAST_CHUNK)

    world.provider.script = script
    asked = await begun(begin)
    await asyncio.wait_for(asked.over.wait(), 10)
    assert asked.answered.body == raw
    assert {row.mark for row in await world.at_rest()} == {"reported"}


async def test_an_answer_that_breaks_off_takes_the_bound(world: World) -> None:
    [begin] = await learn(world, await world.token())

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "application/json", 100) + b"{")
        await writer.drain()
        writer.close()

    world.provider.script = script
    asked = await begun(begin)
    await asyncio.wait_for(asked.over.wait(), 10)
    assert (asked.answered.status, asked.answered.code) == (502, "provider_error")
    [estimated] = [row for row in await world.at_rest() if row.mark == "estimated"]
    assert estimated.cost == estimated.hold


async def test_an_answer_with_the_key_in_it_is_kept_back(world: World) -> None:
    [begin] = await learn(world, await world.token())

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(completion(f"The key is {KEY}.")))

    world.provider.script = script
    asked = await begun(begin)
    await asyncio.wait_for(asked.over.wait(), 10)
    assert asked.answered.status == 502
    assert KEY not in asked.answered.body.decode()


async def test_an_app_that_leaves_pays_for_what_it_got(world: World) -> None:
    [begin] = await learn(world, await world.token())
    wrote = asyncio.Event()

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        await wrote.wait()
        writer.write(whole(completion()))

    world.provider.script = script
    asked = await begun(begin)
    await asked_twice(world)
    asked.hang_up()
    wrote.set()
    await asyncio.wait_for(asked.over.wait(), 10)  # so that its connection ends
    rows = await world.at_rest()
    assert {(row.mark, row.cost) for row in rows} == {("reported", 5)}
    assert sorted(row.outcome for row in rows) == ["client_left", "ok"]


async def test_an_app_that_leaves_before_its_call_is_admitted_is_not_waited_for(world: World) -> None:
    [begin] = await learn(world, await world.token())
    asked = await begun(begin)
    asked.hang_up()
    await asyncio.wait_for(asked.over.wait(), 10)
    await world.at_rest()
    assert world.service.app.usual.calls == set()


async def test_a_running_call_is_cut_when_its_grant_is_paused(world: World) -> None:
    token = await world.token()
    [begin] = await learn(world, token)

    async def script(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    world.provider.script = script
    asked = await begun(begin)
    await asked_twice(world)
    await world.change(lambda tx: grants.move(tx, GRANT_OF[token], GrantEvent.PAUSE, world.clock()))
    await asyncio.wait_for(asked.over.wait(), 20)
    assert asked.answered.code == "grant_paused"
    assert sorted(row.mark for row in await world.at_rest()) == ["estimated", "reported"]


async def test_without_a_connection_at_rest_one_is_made(world: World) -> None:
    [begin] = await learn(world, await world.token())
    world.provider.hang_up()
    await asyncio.sleep(0.05)
    asked = await begun(begin)
    await asyncio.wait_for(asked.over.wait(), 10)
    assert asked.answered.status == 200
    assert asked.tasks == []


async def test_what_runs_when_the_server_stops_is_settled(world: World) -> None:
    [begin] = await learn(world, await world.token())

    async def script(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(10)

    world.provider.script = script
    asked = await begun(begin)
    await asked_twice(world)
    await world.service.app.stop(5)
    assert asked.answered.status == 503
    assert {row.state for row in await world.at_rest()} == {"settled"}


async def asked_twice(world: World) -> None:
    while len(world.provider.asked) < 2:  # noqa: ASYNC110 - it is another server, which tells nobody
        await asyncio.sleep(0.01)


async def _nothing(_tx: AsyncSession) -> None:
    """A change to nothing in particular."""
