"""Conversations that OpenAI keeps: a grant's own, held as input of each call in them, one call at a time."""

import asyncio
from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.strict_json import dumps
from broker.proxy.conversations import LONGEST_CALL
from broker.store.object_tables import ProviderObject
from tests.fake_openai import response as fake_response
from tests.fake_provider import Asked, whole
from tests.fake_state import KeepingOpenAI
from tests.metering.world import saying
from tests.proxy.world import World

CONVERSATIONS, RESPONSES = "/proxy/openai/v1/conversations", "/proxy/openai/v1/responses"
MAY = '["chat", "files"]'
ITEMS: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": "Hello"}]
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "input": "Hello", "max_output_tokens": 100}


@pytest.fixture
async def keeping(world: World) -> KeepingOpenAI:
    world.provider.script = made = KeepingOpenAI()
    return made


async def begin(world: World, token: str, **body: Any) -> str:
    answered = await world.call(token, body, path=CONVERSATIONS)
    assert answered.status == 200, answered.body
    return str(answered.json()["id"])


async def row(world: World) -> ProviderObject:
    async def work(tx: AsyncSession) -> ProviderObject:
        return (await tx.exec(select(ProviderObject).where(ProviderObject.kind == "conversation"))).one()

    return await world.db.read(work)


async def bounds(world: World) -> list[int]:
    """Of the input of each call to a model, in their order."""
    return [call.input_bound for call in await world.at_rest() if call.model]


async def test_what_was_said_is_held_as_input_of_what_follows(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    conversation_id = await begin(world, token)
    assert (await row(world)).tokens == 0
    for _ in range(3):
        asked = ASK | {"conversation": conversation_id}
        assert (await world.call(token, asked, path=RESPONSES)).status == 200
    first, second, third = await bounds(world)
    # Ten tokens were read, five written, in one message.
    assert (second - first, third - first) == (10 + 5 + 16, 10 + 5 + 16)
    assert ((await row(world)).tokens, (await row(world)).model) == (31, "gpt-4o-mini")
    assert (await world.verified()).startswith("OK")


async def test_what_an_app_puts_in_counts_by_its_bytes(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    conversation_id = await begin(world, token, items=ITEMS, metadata={"a": "b"})
    held = len(dumps({"items": ITEMS})) + 16
    assert (await row(world)).tokens == held
    added = await world.call(token, {"items": ITEMS * 2}, path=f"{CONVERSATIONS}/{conversation_id}/items")
    assert len(added.json()["data"]) == 3
    assert (await row(world)).tokens == held + len(dumps({"items": ITEMS * 2})) + 2 * 16
    assert [call.cost for call in await world.at_rest()] == [0, 0]


async def test_a_stream_goes_on_in_a_conversation(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    conversation_id = await begin(world, token)
    asked = ASK | {"conversation": {"id": conversation_id}, "stream": True}
    answered = await world.call(token, asked, path=RESPONSES)
    assert b"response.completed" in answered.body
    assert (await row(world)).tokens == 31
    assert world.provider.asked[-1].json()["conversation"] == {"id": conversation_id}


async def test_a_conversation_is_its_own_grants(world: World, keeping: KeepingOpenAI) -> None:
    token, other = await world.token(actions=MAY), await world.token(actions=MAY)
    conversation_id = await begin(world, token)
    arrived = len(world.provider.asked)
    place = f"{CONVERSATIONS}/{conversation_id}"
    for method, path in [("GET", place), ("DELETE", place), ("GET", f"{place}/items"), ("GET", f"{place}/items/msg_1"), ("DELETE", f"{place}/items/msg_1")]:  # fmt: skip
        refused = await world.call(other, path=path, method=method)
        assert (refused.status, refused.code) == (404, "not_found")
    for path, body in [(place, {"metadata": {}}), (f"{place}/items", {"items": ITEMS}), (RESPONSES, ASK | {"conversation": conversation_id})]:  # fmt: skip
        refused = await world.call(other, body, path=path)
        assert (refused.status, refused.code) == (404, "not_found")
    assert len(world.provider.asked) == arrived
    assert conversation_id not in repr(await row(world))


async def test_it_is_read_listed_renamed_and_deleted(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    place = f"{CONVERSATIONS}/{await begin(world, token, items=ITEMS)}"
    assert (await world.call(token, path=place, method="GET")).json()["object"] == "conversation"
    assert (await world.call(token, {"metadata": {"a": "b"}}, path=place)).status == 200
    assert len((await world.call(token, path=f"{place}/items?limit=5&include=x", method="GET")).json()["data"]) == 1
    assert world.provider.asked[-1].target.endswith("/items?limit=5")
    assert (await world.call(token, path=f"{place}/items/msg_0", method="DELETE")).status == 200
    assert (await world.call(token, path=place, method="GET")).status == 200
    assert (await world.call(token, path=place, method="DELETE")).json()["deleted"] is True
    assert (await world.call(token, path=place, method="GET")).code == "not_found"


@pytest.mark.parametrize("actions", ['["chat"]', '["files"]'])
async def test_it_needs_its_action(world: World, keeping: KeepingOpenAI, actions: str) -> None:
    conversation_id = await begin(world, await world.token(actions=MAY))
    arrived = len(world.provider.asked)
    token = await world.token(actions=actions)
    refused = await world.call(token, ASK | {"conversation": conversation_id}, path=RESPONSES)
    assert refused.status in (403, 404)
    if actions == '["chat"]':
        refused = await world.call(token, {}, path=CONVERSATIONS)
        assert (refused.status, refused.code) == (403, "action_not_granted")
    assert len(world.provider.asked) == arrived


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"items": [{"type": "message", "role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}, "not_boundable"),
        ({"items": [{"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "https://a.example/b.png"}]}]}, "not_boundable"),
        ({"items": [{"type": "web_search_call", "id": "ws_1", "status": "completed"}]}, "not_boundable"),
        ({"items": [{"type": "item_reference", "id": "msg_1"}]}, "not_boundable"),
        ({"prompt": {"id": "pmpt_1"}}, "not_boundable"),
        ({"items": "x"}, "invalid_request"),
    ],
    ids=["file", "picture", "search", "reference", "prompt", "no items"],
)  # fmt: skip
async def test_what_has_no_bound_is_not_put_into_one(
    world: World, keeping: KeepingOpenAI, body: dict[str, Any], code: str
) -> None:
    token = await world.token(actions='["chat", "files", "vision", "web_search"]')
    assert (await world.call(token, body, path=CONVERSATIONS)).code == code
    assert world.provider.asked == []


async def test_one_call_at_a_time_is_in_a_conversation(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    conversation_id = await begin(world, token)
    let_go = asyncio.Event()

    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await let_go.wait()
        await keeping(asked, writer)

    world.provider.script = slow
    asked = ASK | {"conversation": conversation_id}
    calls = [asyncio.create_task(world.call(token, asked, path=RESPONSES)) for _ in range(4)]
    done, waiting = await asyncio.wait(calls, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 3:
        more, waiting = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    refused = [call.result() for call in done]
    assert [(each.status, each.code, each.headers["retry-after"]) for each in refused] == [
        (409, "in_progress", "1")
    ] * 3
    let_go.set()
    (only,) = waiting
    assert (await only).status == 200
    assert [call.cost for call in await world.at_rest() if call.mark == "reported" and call.model] == [5]
    assert (await world.call(token, asked, path=RESPONSES)).status == 200


async def test_a_call_that_did_not_run_leaves_it_as_it_was(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    conversation_id = await begin(world, token, items=ITEMS)
    before = await row(world)
    busy = {"error": {"message": "Busy.", "type": "server_error", "code": None, "param": None}}
    world.provider.script = saying(whole(busy, 500))
    asked = ASK | {"conversation": conversation_id}
    assert (await world.call(token, asked, path=RESPONSES)).status == 500
    after = await row(world)
    assert (after.tokens, after.facts, after.model) == (before.tokens, before.facts, before.model)
    world.provider.script = keeping
    assert (await world.call(token, asked, path=RESPONSES)).status == 200


async def test_of_a_call_that_broke_off_the_most_is_taken(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    conversation_id = await begin(world, token, items=ITEMS)
    before = (await row(world)).tokens
    assert before is not None
    world.provider.script = saying(whole(fake_response())[:-9], then="hangs up")
    asked = ASK | {"conversation": conversation_id}
    assert (await world.call(token, asked, path=RESPONSES)).status == 502
    await world.at_rest()
    # What was asked, in a message, and all that it could have written.
    assert (await row(world)).tokens == before + len(b'{"input":"Hello"}') + 16 + 100


async def test_a_call_whose_process_died_keeps_others_out_for_an_hour(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY, ends_at=2**60)
    conversation_id = await begin(world, token)

    async def die(tx: AsyncSession) -> None:
        found = (await tx.exec(select(ProviderObject))).one()
        found.tokens, found.facts = None, dumps({"by": "res_dead", "at": world.clock()}).decode()

    await world.db.write(die)
    asked = ASK | {"conversation": conversation_id}
    assert (await world.call(token, asked, path=RESPONSES)).code == "in_progress"

    async def age(tx: AsyncSession) -> None:
        found = (await tx.exec(select(ProviderObject))).one()
        found.facts = dumps({"by": "res_dead", "at": world.clock() - LONGEST_CALL}).decode()

    await world.db.write(age)
    # What it left is not known: no model reads more than its context.
    unknown = await world.call(token, asked | {"model": "gpt-4o-mini"}, path=RESPONSES)
    assert unknown.status == 200, unknown.body
    assert (await bounds(world))[-1] > 128_000
    assert (await row(world)).tokens == 31


async def test_what_is_not_known_any_more_keeps_nobody_out_twice(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    conversation_id = await begin(world, token)

    async def forget(tx: AsyncSession) -> None:
        found = (await tx.exec(select(ProviderObject))).one()
        found.tokens, found.facts = None, "{}"

    await world.db.write(forget)
    place = f"{CONVERSATIONS}/{conversation_id}/items"
    for _ in range(2):
        assert (await world.call(token, {"items": ITEMS}, path=place)).status == 200
    assert (await row(world)).tokens is None
    assert (await world.call(token, ASK | {"conversation": conversation_id}, path=RESPONSES)).status == 200


async def test_by_another_model_it_is_held_at_the_context_of_that(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY, models='["*"]')
    asked = ASK | {"conversation": await begin(world, token)}
    assert (await world.call(token, asked, path=RESPONSES)).status == 200
    assert (await world.call(token, asked | {"model": "gpt-4.1-nano"}, path=RESPONSES)).status == 200
    assert (await bounds(world))[-1] > 1_047_576
    refused = await world.call(token, asked | {"model": "gpt-6-luna"}, path=RESPONSES)
    assert (refused.status, refused.code) == (403, "not_boundable")


@pytest.mark.parametrize(
    "more", [{"previous_response_id": "resp_1"}, {"background": True}, {"conversation": 5}, {"conversation": {"id": "conv_1", "x": 1}}], ids=str
)  # fmt: skip
async def test_it_goes_with_nothing_that_would_make_it_two(
    world: World, keeping: KeepingOpenAI, more: dict[str, Any]
) -> None:
    token = await world.token(actions='["chat", "files", "background"]')
    asked = ASK | {"conversation": await begin(world, token)} | more
    assert (await world.call(token, asked, path=RESPONSES)).code == "invalid_request"
