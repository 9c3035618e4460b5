"""Several keys behind one access: traffic follows what their provider says, one hold covers every attempt."""

import asyncio

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND
from broker.core.grant import GrantEvent
from broker.core.secret import Secret
from broker.ledger.verify import verify
from broker.store import credentials, grants
from broker.store.grant_tables import Grant
from broker.store.pool_tables import Quarantine
from broker.store.tables import Credential
from broker.vault.credentials import add_credential
from tests.fake_provider import DONE, LAST_CHUNK, Asked, chunk, event, head, usage, whole
from tests.proxy.pool import GOOD, KEYS, LIMITED, REFUSED, UNWELL, Open, quarantines
from tests.proxy.world import World


async def test_traffic_follows_what_the_provider_says_of_each_key(world: World, pool: Open) -> None:
    """Three keys: one answers 429 with a reset, one 401, one is good."""
    made = await pool({KEYS[0]: whole(LIMITED, 429, "retry-after: 5"), KEYS[1]: whole(REFUSED, 401)})
    assert (await made.call()).status == 200
    now = world.clock()
    assert made.used() == ["a", "b", "c"]
    (row,) = await world.at_rest()
    assert (row.state, row.mark, made.key_of(row.credential_id)) == ("settled", "reported", "c")
    assert await made.attempts() == [("a", 429, "provider_refused"), ("b", 401, "provider_refused")]
    resting = await made.resting()
    assert resting["a"] == ("rate_limited", now + 5 * SECOND)
    assert resting["b"][0] == "refused"

    assert (await made.call()).status == 200
    assert made.used() == ["a", "b", "c", "c"]
    assert len(await made.attempts()) == 2
    world.clock.now += 6 * SECOND
    made.answers.clear()
    assert (await made.call()).status == 200
    assert made.used()[-1] == "a"
    assert (await verify(world.db)).fault == ""
    (state,) = [row.state for row in await world.db.read(_keys) if row.id == made.ids[1]]
    assert state == "refused"


async def _keys(tx: AsyncSession) -> list[Credential]:
    return list((await tx.exec(select(Credential))).all())


async def test_one_hold_covers_all_attempts_and_counts_one_request(world: World, pool: Open) -> None:
    made = await pool({KEYS[0]: whole(LIMITED, 429), KEYS[1]: whole(UNWELL, 503)})
    assert (await made.call()).status == 200
    (row,) = await world.at_rest()
    status = (await world.call(made.token, method="GET", path="/proxy/status", body=b"")).json()
    assert status["access"][0]["requests"]["used"] == 1
    assert status["access"][0]["budget"]["settled"] == row.cost > 0
    assert status["access"][0]["budget"]["held"] == 0
    assert await made.resting() == {"a": (await made.resting())["a"]}  # who is only unwell does not rest


async def test_when_no_key_is_left_the_app_is_told_when_one_will_be(world: World, pool: Open) -> None:
    made = await pool({
        KEYS[0]: whole(LIMITED, 429, "retry-after: 50"),
        KEYS[1]: whole(LIMITED, 429, "retry-after: 20"),
        KEYS[2]: whole(LIMITED, 429, "retry-after: 30"),
    })  # fmt: skip
    for asked in (3, 3):  # the second time nobody is asked
        answered = await made.call()
        assert (answered.status, answered.code) == (503, "provider_key_unavailable")
        assert answered.headers["retry-after"] == "20"
        error = answered.json()["error"]
        assert error["available_at"] == -(-(world.clock() + 20 * SECOND) // SECOND)
        assert "can be tried again at" in error["message"]
        assert len(made.used()) == asked
    (row,) = await world.at_rest()
    assert (row.state, row.cost, row.reached) == ("released", 0, 1)
    assert [key for key, _, _ in await made.attempts()] == ["a", "b"]  # the last one is the reservation
    assert made.key_of(row.credential_id) == "c"


async def test_a_provider_that_is_unwell_with_every_key_speaks_for_itself(pool: Open) -> None:
    made = await pool(dict.fromkeys(KEYS, whole(UNWELL, 503)))
    answered = await made.call()
    assert (answered.status, answered.json()["error"]["type"]) == (503, "server_error")
    assert made.used() == ["a", "b", "c"]


async def test_what_is_wrong_with_the_request_is_said_by_the_first_key(pool: Open) -> None:
    made = await pool(dict.fromkeys(KEYS, whole(REFUSED, 400)))
    assert (await made.call()).status == 400
    assert made.used() == ["a"]


async def test_a_call_that_may_have_run_is_never_tried_again(world: World, pool: Open) -> None:
    made = await pool({KEYS[0]: whole({"nonsense": True}, 502)})
    assert (await made.call()).status == 502
    assert made.used() == ["a"]
    (row,) = await world.at_rest()
    assert (row.mark, row.cost) == ("estimated", row.hold)


STREAMED = {"stream": True}


def stream(*events: bytes) -> bytes:
    return head(200, "text/event-stream") + b"".join(chunk(each) for each in events) + LAST_CHUNK


def piece(text: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


LAST = event({"choices": [], "usage": usage()})


async def test_a_limit_in_the_first_event_of_a_stream_goes_on_with_the_next_key(world: World, pool: Open) -> None:
    made = await pool({KEYS[0]: stream(event(LIMITED)), KEYS[1]: stream(piece("Hel"), piece("lo"), LAST, DONE)})
    answered = await made.call(**STREAMED)
    assert answered.status == 200
    assert b"Slow down" not in answered.body
    assert b'"Hel"' in answered.body
    assert answered.body.endswith(DONE)
    assert await made.attempts() == [("a", 429, "provider_refused")]
    assert "a" in await made.resting()
    (row,) = await world.at_rest()
    assert (row.mark, made.key_of(row.credential_id)) == ("reported", "b")


async def test_what_comes_after_thousands_of_pings_is_no_refusal_and_nothing_waits_for_it(
    world: World, pool: Open
) -> None:
    pings = b'event: ping\ndata: {"type": "ping"}\n\n' * 10_000
    made = await pool({KEYS[0]: stream(pings, pings, event(LIMITED)), KEYS[1]: stream(piece("Hel"), LAST, DONE)})
    answered = await made.call(**STREAMED)
    assert answered.body.count(b"event: ping") == 20_000
    assert made.used() == ["a"]
    await world.at_rest()


async def test_a_limit_after_content_breaks_the_stream_and_is_charged(world: World, pool: Open) -> None:
    made = await pool({KEYS[0]: stream(piece("Hel"), event(LIMITED))})
    answered = await made.call(**STREAMED)
    assert b'"Hel"' in answered.body
    assert made.used() == ["a"]
    (row,) = await world.at_rest()
    assert row.mark == "estimated"


async def test_only_the_keys_that_were_allowed_are_ever_used(world: World, pool: Open) -> None:
    """The operator has a good key for this provider, and its person another one: neither was lent to this app."""
    made = await pool(dict.fromkeys(KEYS, whole(LIMITED, 429)))

    async def work(tx: AsyncSession) -> None:
        for owner in (None, world.user_id):
            await add_credential(
                tx, world.vault, provider="openai", key=Secret(f"sk-others-{owner}-123"), name="x", user_id=owner,
                now=world.clock(), by="x",
            )  # fmt: skip

    await world.db.write(work)
    assert (await made.call()).status == 503
    assert made.used() == ["a", "b", "c"]


async def test_a_grant_that_is_paused_between_two_attempts_goes_on_with_no_other_key(world: World, pool: Open) -> None:
    made = await pool()

    async def pause(tx: AsyncSession) -> None:
        grant = (await tx.exec(select(Grant))).one()
        await grants.move(tx, grant.id, GrantEvent.PAUSE, world.clock(), by="p")

    async def paused(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await world.db.write(pause)
        writer.write(whole(LIMITED, 429))

    world.provider.script = paused
    answered = await made.call()
    assert (answered.status, answered.code) == (403, "grant_paused")
    assert len(world.provider.asked) == 1
    (row,) = await world.at_rest()
    assert (row.state, row.outcome) == ("released", "grant_paused")


async def test_a_removed_key_cuts_only_the_calls_that_run_on_it(world: World, pool: Open) -> None:
    made = await pool(strategy="round_robin")
    going, go = asyncio.Event(), asyncio.Event()

    async def slowly(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(world.provider.asked) == 2:
            going.set()
        await go.wait()
        writer.write(GOOD)

    world.provider.script = slowly
    calls = [asyncio.create_task(made.call()) for _ in range(2)]
    await going.wait()
    removed = made.ids[0]

    async def remove(tx: AsyncSession) -> None:
        row = await credentials.load(tx, removed)
        assert row is not None
        await credentials.erase(tx, row, world.clock())

    await world.db.write(remove)
    done, _ = await asyncio.wait(calls, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    go.set()
    answers = [(await call).status for call in calls]
    assert len(done) == 1
    assert sorted(answers) == [200, 503]
    rows = await world.at_rest()
    assert {row.outcome: made.key_of(row.credential_id) for row in rows} == {"ok": "b", "provider_key_unavailable": "a"}


async def test_one_key_alone_is_asked_each_time_and_its_provider_speaks_for_itself(world: World) -> None:
    token = await world.token()

    async def limited(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(LIMITED, 429, "retry-after: 7"))

    world.provider.script = limited
    for _ in range(3):
        answered = await world.call(token)
        assert (answered.status, answered.headers["retry-after"]) == (429, "7")
    assert len(world.provider.asked) == 3
    rows: list[Quarantine] = []
    while not rows:
        await asyncio.sleep(0.01)
        rows = await world.db.read(quarantines)
    assert [(row.credential_id, row.cause) for row in rows] == [(world.credential_id, "rate_limited")]
