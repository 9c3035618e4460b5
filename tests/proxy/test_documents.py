"""Files that are read as what they are, at OpenAI: held at all that the model can read, and only the grant's own by their id."""

import json
from typing import Any

import pytest

from broker.providers.form import File, rendered_form
from tests.fake_openai import answer_openai
from tests.fake_provider import whole
from tests.fake_state import KeepingOpenAI
from tests.metering.world import saying
from tests.proxy.world import World

CHAT, RESPONSES = "/proxy/openai/v1/chat/completions", "/proxy/openai/v1/responses"
MAY = '["chat", "files"]'
PDF = "data:application/pdf;base64,JVBERi0xLjQ="
CONTEXT = 128_000


def chat(**told: Any) -> tuple[str, dict[str, Any]]:
    content = [{"type": "text", "text": "What is it?"}, {"type": "file", "file": told}]
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}], "max_tokens": 100}
    return CHAT, body


def response(**told: Any) -> tuple[str, dict[str, Any]]:
    content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_file"} | told]
    body = {"model": "gpt-4o-mini", "input": [{"role": "user", "content": content}], "max_output_tokens": 100}
    return RESPONSES, body


BOTH = pytest.mark.parametrize("asking", [chat, response], ids=["chat", "response"])


async def upload(world: World, token: str) -> str:
    kind, raw = rendered_form({"purpose": "user_data"}, {"file": (File("a.pdf", "application/pdf", b"%PDF-1.4"),)})
    told = await world.call(token, raw, path="/proxy/openai/v1/files", headers={"content-type": kind.decode()})
    return str(told.json()["id"])


@BOTH
async def test_a_document_is_held_at_the_context_and_booked_by_its_usage(world: World, asking: Any) -> None:
    world.provider.script = answer_openai
    path, body = asking(filename="a.pdf", file_data=PDF)
    answered = await world.call(await world.token(actions=MAY), body, path=path)
    assert answered.status == 200, answered.body
    (call,) = await world.at_rest()
    # 128,000 tokens at $0.15 and 100 at $0.60 a million; 10 and 5 were used.
    assert (call.input_bound, call.hold, call.cost) == (CONTEXT, 19_200 + 60, 5)
    assert json.dumps(PDF) in world.provider.asked[-1].body.decode()


async def test_a_document_may_be_at_an_address(world: World) -> None:
    world.provider.script = answer_openai
    path, body = response(file_url="https://a.example/b.pdf")
    assert (await world.call(await world.token(actions=MAY), body, path=path)).status == 200
    (call,) = await world.at_rest()
    assert call.input_bound == CONTEXT


async def test_a_document_in_what_a_tool_gave_is_one_too(world: World) -> None:
    world.provider.script = answer_openai
    result = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_data": PDF}]}
    body = response()[1] | {"input": [result]}
    assert (await world.call(await world.token(actions=MAY), body, path=RESPONSES)).status == 200
    (call,) = await world.at_rest()
    assert call.input_bound == CONTEXT


async def test_a_document_that_was_uploaded_is_named_by_its_own_grant_alone(world: World) -> None:
    keeping = KeepingOpenAI()
    world.provider.script = keeping
    token, other = await world.token(actions=MAY), await world.token(actions=MAY)
    path, body = response(file_id=await upload(world, token))
    refused = await world.call(other, body, path=path)
    assert (refused.status, refused.code) == (404, "not_found")
    assert len(world.provider.asked) == 1
    assert (await world.call(token, body, path=path)).status == 200
    assert (await world.at_rest())[-1].input_bound == CONTEXT
    path, body = chat(file_id=body["input"][0]["content"][1]["file_id"])
    world.provider.script = answer_openai
    assert (await world.call(other, body, path=path)).code == "not_found"
    assert (await world.call(token, body, path=path)).status == 200


@BOTH
async def test_a_document_needs_its_action(world: World, asking: Any) -> None:
    path, body = asking(filename="a.pdf", file_data=PDF)
    refused = await world.call(await world.token(), body, path=path)
    assert (refused.status, refused.code) == (403, "action_not_granted")
    assert world.provider.asked == []


@BOTH
@pytest.mark.parametrize(
    "told",
    [
        {"filename": "a.pdf"}, {"file_data": PDF, "file_id": "file-1"}, {"file_data": 5}, {"file_data": PDF, "filename": 5},
        {"file_data": PDF, "more": 1}, {"file_data": PDF, "detail": "all"},
    ],
    ids=["none", "two", "no text", "no name", "more", "detail"],
)  # fmt: skip
async def test_what_is_no_document_has_no_bound(world: World, asking: Any, told: dict[str, Any]) -> None:
    path, body = asking(**told)
    refused = await world.call(await world.token(actions=MAY), body, path=path)
    assert (refused.status, refused.code) == (403, "not_boundable")
    assert world.provider.asked == []


@BOTH
async def test_of_a_model_whose_context_is_not_known_no_document_has_a_bound(world: World, asking: Any) -> None:
    path, body = asking(filename="a.pdf", file_data=PDF)
    token = await world.token(actions=MAY, models='["*"]')
    refused = await world.call(token, body | {"model": "gpt-6-luna"}, path=path)
    assert (refused.status, refused.code) == (403, "not_boundable")
    assert world.provider.asked == []


async def test_a_conversation_that_broke_off_with_a_document_is_no_less_than_the_context(world: World) -> None:
    world.provider.script = KeepingOpenAI()
    token = await world.token(actions=MAY)
    talk = (await world.call(token, {}, path="/proxy/openai/v1/conversations")).json()["id"]
    path, body = response(file_data=PDF)
    world.provider.script = saying(whole({"id": "resp_1"})[:-3], then="hangs up")
    assert (await world.call(token, body | {"conversation": talk}, path=path)).status == 502
    world.provider.script = KeepingOpenAI()
    await world.call(token, body | {"conversation": talk}, path=path)
    *_, first, second = [call for call in await world.at_rest() if call.model]
    assert second.input_bound - first.input_bound >= CONTEXT
