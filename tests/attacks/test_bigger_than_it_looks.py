"""Requests that cost more than their bytes say."""

import json

import pytest

from broker.core.strict_json import loads
from broker.providers.openai_request import read_chat
from broker.providers.registry import Provider
from tests.proxy.world import ASK, World

OPENAI = Provider("openai", "openai", "https://api.openai.com")


def _tool(numbers: str) -> bytes:
    schema = '{"type":"object","properties":{"a":{"enum":[' + numbers + "]}}}"
    tools = '[{"type":"function","function":{"name":"f","parameters":' + schema + "}}]"
    return json.dumps(ASK)[:-1].encode() + b',"tools":' + tools.encode() + b"}"


@pytest.mark.parametrize("number", ["1e15", "1E5", "-1e15", "0.1", "7", "1e300", "12345678901234567890"])
def test_the_bound_covers_what_is_sent_however_short_it_was_written(number: str) -> None:
    raw = _tool(",".join([number] * 1000))
    body = loads(raw)
    assert isinstance(body, dict)
    reading = read_chat(body, len(raw), OPENAI, "/v1/chat/completions")
    added = len(b',"max_completion_tokens":100,"service_tier":"default"')
    assert reading.input_bound >= len(reading.render(100)) - added
    assert reading.input_bound >= len(raw)


@pytest.mark.parametrize("name", ["image_url", "input_audio", "file", "image"])
async def test_a_part_that_says_it_is_text_brings_nothing_else(world: World, name: str) -> None:
    part = {"type": "text", "text": "look", name: {"url": "https://example.com/a.png"}}
    token = await world.token(actions='["chat", "vision", "audio", "files"]')
    refused = await world.call(token, ASK | {"messages": [{"role": "user", "content": [part]}]})
    assert (refused.status, refused.code) == (403, "not_boundable")
    assert f"messages.content.{name}" in refused.json()["error"]["message"]
    assert world.provider.asked == []
