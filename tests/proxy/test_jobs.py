"""Work that goes on after its answer: its hold outlives the worker, and is settled once by what the work has come to."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND
from broker.core.usage import Price
from broker.ledger.sweep import lapse_all, sweep
from broker.prices.book import PriceBook
from broker.proxy.jobs import LONGEST
from broker.store.grant_tables import Access, AccessToken, Grant
from broker.store.ledger_tables import Reservation
from broker.store.object_tables import ProviderJob
from broker.store.tables import User
from tests.fake_provider import Asked
from tests.fake_state import KeepingOpenAI
from tests.proxy.world import GRANT_OF, World

RESPONSES = "/proxy/openai/v1/responses"
ASK = {"model": "gpt-4o-mini", "input": "Hello", "background": True, "max_output_tokens": 100}
MAY: dict[str, Any] = {"actions": '["chat", "background", "files"]', "ends_at": 2**60}


@pytest.fixture
async def keeping(world: World) -> KeepingOpenAI:
    world.provider.script = made = KeepingOpenAI()
    return made


async def begin(world: World, **more: Any) -> tuple[str, str]:
    """A token and the id of a response that goes on."""
    token = await world.token(**(MAY | more))
    answered = await world.call(token, ASK, path=RESPONSES)
    assert (answered.status, answered.json()["status"]) == (200, "queued")
    return token, str(answered.json()["id"])


async def calls(world: World) -> list[Reservation]:
    """Those that were paid for: asking how something stands is a call, too."""

    async def work(tx: AsyncSession) -> list[Reservation]:
        return list((await tx.exec(select(Reservation).where(Reservation.hold > 0))).all())

    return await world.db.read(work)


async def jobs(world: World) -> list[ProviderJob]:
    async def work(tx: AsyncSession) -> list[ProviderJob]:
        return list((await tx.exec(select(ProviderJob))).all())

    return await world.db.read(work)


async def tend(world: World, seconds: int = 3) -> None:
    world.clock.turn(seconds)
    await world.service.jobs.tend()


async def until(seen: "Any") -> None:
    for _ in range(300):
        told = seen()
        if await told if isinstance(told, Awaitable) else told:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


def about(world: World, response_id: str) -> list[Asked]:
    return [asked for asked in world.provider.asked if response_id in asked.target]


async def test_it_is_held_while_it_goes_on_and_settled_when_the_app_sees_its_end(
    world: World, keeping: KeepingOpenAI
) -> None:
    token, response_id = await begin(world)
    (call,) = await calls(world)
    assert call.state == "held"
    answered = await world.call(token, path=f"{RESPONSES}/{response_id}", method="GET")
    assert (answered.json()["status"], (await calls(world))[0].state) == ("queued", "held")
    keeping.end(response_id)
    await world.call(token, path=f"{RESPONSES}/{response_id}", method="GET")

    async def is_settled() -> bool:
        return (await calls(world))[0].state == "settled"

    await until(is_settled)
    (call,) = await calls(world)
    # 10 tokens at $0.15 and 5 at $0.60 a million.
    assert (call.mark, call.input_tokens, call.output_tokens, call.cost) == ("reported", 10, 5, 5)
    await until(lambda: _is_empty(world))
    assert (await world.verified()).startswith("OK")


async def _is_empty(world: World) -> bool:
    return not await jobs(world)


async def test_it_is_settled_although_the_app_never_asks(world: World, keeping: KeepingOpenAI) -> None:
    _, response_id = await begin(world)
    keeping.end(response_id)
    await tend(world, 1)
    assert about(world, response_id) == []
    await tend(world)
    (call,) = await calls(world)
    assert (call.mark, call.cost) == ("reported", 5)
    assert await jobs(world) == []


async def test_a_usage_above_the_bound_is_an_overrun_and_freezes_the_grant(
    world: World, keeping: KeepingOpenAI
) -> None:
    token, response_id = await begin(world)
    keeping.end(response_id, output_tokens=1_000_000)
    await tend(world)
    (call,) = await calls(world)
    assert (call.cost, call.overrun > 0) == (call.hold, True)
    assert (await world.call(token, path=f"{RESPONSES}/{response_id}", method="GET")).code == "grant_frozen"


async def test_the_hold_outlives_every_worker(world: World, keeping: KeepingOpenAI) -> None:
    _, response_id = await begin(world)
    await world.db.write(lambda tx: lapse_all(tx, world.clock()))
    assert await sweep(world.db, world.books, world.clock) == 0
    (call,) = await calls(world)
    assert call.state == "held"
    keeping.end(response_id)
    await tend(world)
    assert (await calls(world))[0].mark == "reported"


async def test_two_that_look_at_once_ask_once(world: World, keeping: KeepingOpenAI) -> None:
    _, response_id = await begin(world)
    keeping.end(response_id)
    world.clock.turn(3)
    await asyncio.gather(*(world.service.jobs.tend() for _ in range(4)))
    assert len(about(world, response_id)) == 1
    assert (await calls(world))[0].cost == 5


async def test_whoever_died_while_it_looked_is_followed_by_another(world: World, keeping: KeepingOpenAI) -> None:
    _, response_id = await begin(world)
    await tend(world)  # it goes on, as far as this one could see
    keeping.end(response_id)
    await tend(world, 1)
    assert (await calls(world))[0].state == "held"
    await tend(world, 4)
    assert (await calls(world))[0].state == "settled"


@pytest.mark.parametrize("what", ["forgotten", "too long", "no usage"])
async def test_what_nobody_can_learn_is_booked_at_the_bound(world: World, keeping: KeepingOpenAI, what: str) -> None:
    _, response_id = await begin(world)
    seconds = 3
    if what == "forgotten":
        del keeping.responses[response_id]
    elif what == "too long":
        seconds = LONGEST["response"] // SECOND
    else:
        keeping.responses[response_id] |= {"status": "failed"}
    await tend(world, seconds)
    (call,) = await calls(world)
    assert (call.mark, call.cost) == ("estimated", call.hold)
    assert await jobs(world) == []
    assert (await world.verified()).startswith("OK")


@pytest.mark.parametrize(
    "how", ["paused", "revoked", "expired", "narrowed", "token revoked", "token above revoked", "user disabled"]
)
async def test_what_is_taken_away_ends_at_the_provider_too(world: World, keeping: KeepingOpenAI, how: str) -> None:
    token, response_id = await begin(world)

    async def take_away(tx: AsyncSession) -> None:
        grant = await tx.get(Grant, GRANT_OF[token])
        access = (await tx.exec(select(Access).where(Access.grant_id == GRANT_OF[token]))).one()
        assert grant is not None
        if how in ("paused", "revoked"):
            grant.state = how
        elif how == "expired":
            access.ends_at = world.clock()
        elif how.startswith("token"):
            held = (await tx.exec(select(Reservation).where(Reservation.hold > 0))).one()
            own = (await tx.exec(select(AccessToken).where(AccessToken.jti == held.jti))).one()
            if how == "token above revoked":
                above = AccessToken(**(own.model_dump() | {"jti": "above", "revoked_at": world.clock()}))
                tx.add(above)
                await tx.flush()
                own.parent_jti = above.jti
            else:
                own.revoked_at = world.clock()
        elif how == "user disabled":
            (await tx.exec(select(User).where(User.id == grant.user_id))).one().disabled_at = world.clock()
        else:
            access.ended_at = world.clock()

    await world.change(take_away)
    await tend(world)
    assert [asked.method for asked in about(world, response_id)] == ["GET", "POST"]
    await tend(world, 10)
    assert [asked.method for asked in about(world, response_id)] == ["GET", "POST", "GET"]
    (call,) = await calls(world)
    assert (call.mark, call.cost) == ("estimated", call.hold)


async def test_a_provider_that_does_not_answer_is_asked_again(world: World, keeping: KeepingOpenAI) -> None:
    _, response_id = await begin(world)

    async def refuse(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.close()

    world.provider.script = refuse
    await tend(world)
    assert (await calls(world))[0].state == "held"
    world.provider.script = keeping
    keeping.end(response_id)
    await tend(world, 10)
    assert (await calls(world))[0].mark == "reported"


async def test_what_goes_on_is_not_deleted_and_no_response_follows_it(world: World, keeping: KeepingOpenAI) -> None:
    token, response_id = await begin(world)
    refused = await world.call(token, path=f"{RESPONSES}/{response_id}", method="DELETE")
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (409, "in_progress", "1")
    refused = await world.call(token, ASK | {"previous_response_id": response_id}, path=RESPONSES)
    assert refused.code == "not_boundable"


async def test_once_it_has_ended_another_response_may_follow_it(world: World, keeping: KeepingOpenAI) -> None:
    token, response_id = await begin(world)
    keeping.end(response_id)
    await tend(world)
    answered = await world.call(token, ASK | {"previous_response_id": response_id}, path=RESPONSES)
    assert answered.status == 200
    first, second = sorted(await calls(world), key=lambda call: call.id)
    assert second.input_bound > first.input_bound + 15


async def test_it_needs_its_action_and_is_kept(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token()
    assert (await world.call(token, ASK, path=RESPONSES)).code == "action_not_granted"
    able = await world.token(actions='["chat", "background"]')
    assert (await world.call(able, ASK | {"store": False}, path=RESPONSES)).code == "invalid_request"
    assert (await world.call(able, ASK, path=RESPONSES)).status == 200
    assert world.provider.asked[-1].json()["store"] is True


async def test_a_stream_in_the_background_is_settled_with_its_last_event(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(**MAY)
    answered = await world.call(token, ASK | {"stream": True}, path=RESPONSES)
    assert b"response.completed" in answered.body
    (call,) = await world.at_rest()
    assert (call.mark, call.cost) == ("reported", 5)
    assert await jobs(world) == []


class Recorder(PriceBook):
    """A price book that keeps which of its prices were to last."""

    def __init__(self) -> None:
        super().__init__()
        self.lasting: list[bool] = []

    def find(self, *asked: Any, lasts: bool = False, **more: Any) -> Price | None:
        self.lasting.append(lasts)
        return super().find(*asked, lasts=lasts, **more)


async def test_what_goes_on_in_the_background_is_held_at_the_dearest_price_of_a_day(
    world: World, keeping: KeepingOpenAI
) -> None:
    world.service.app._prices = book = Recorder()
    token = await world.token(**MAY)
    for background in (True, False):
        await world.call(token, ASK | {"background": background}, path=RESPONSES)
    assert book.lasting == [True, False]
