"""A long conversation in which much goes wrong: no response in it reads more than was held for it."""

import asyncio
import random
from typing import Any

import pytest

from broker.core.strict_json import dumps
from tests.fake_openai import response
from tests.fake_provider import Asked, whole
from tests.proxy.world import World

CONVERSATIONS, RESPONSES = "/proxy/openai/v1/conversations", "/proxy/openai/v1/responses"
ITEMS: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": "Hello"}]


class Talk:
    """A provider for whom each byte is a token, which goes on with what it was asked although nobody listens any more."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.tokens = 0
        """Of all that is in the one conversation."""
        self.read: list[int] = []
        """By each response."""

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        body = asked.json()
        if asked.target == "/v1/conversations" or asked.target.endswith("/items"):
            self.tokens += sum(_tokens(item) for item in body.get("items", []))
            writer.write(whole({"id": "conv_1", "object": "conversation"}))
        elif self.dice.random() < 0.2:
            writer.write(
                whole({"error": {"message": "Busy.", "type": "server_error", "code": None, "param": None}}, 500)
            )
        else:
            answer = self._answer(body)
            writer.write(answer[:-7] if self.dice.random() < 0.3 else answer)
        await writer.drain()
        if asked.target == "/v1/responses":
            writer.close()

    def _answer(self, body: Any) -> bytes:
        used = self.tokens + _tokens(body["input"]) + _tokens(body.get("instructions", ""))
        said = self.dice.randint(0, body["max_output_tokens"])
        self.read.append(used)
        self.tokens += _tokens(body["input"]) + said + 4
        told = {"input_tokens": used, "output_tokens": said, "total_tokens": used + said}
        return whole(response() | {"usage": told if self.dice.random() < 0.8 else None})


def _tokens(item: Any) -> int:
    return len(dumps(item)) + 4


@pytest.mark.parametrize("seed", range(4))
async def test_no_response_reads_more_than_was_held_for_it(world: World, seed: int) -> None:
    dice = random.Random(seed)
    world.provider.script = talk = Talk(dice)
    token = await world.token(actions='["chat", "files"]', budget=10_000_000)
    await world.call(token, {"items": ITEMS}, path=CONVERSATIONS)
    held: list[int] = []
    for _ in range(30):
        text, ran = dice.choice(["a", "Grüße, 你好 ", "\N{GRINNING FACE}\x00"]) * dice.randint(1, 40), len(talk.read)
        if dice.random() < 0.3:
            await world.call(token, {"items": [{"type": "message", "role": "user", "content": text}]}, path=f"{CONVERSATIONS}/conv_1/items")  # fmt: skip
            continue
        more = {"instructions": text} if dice.random() < 0.5 else {}
        most = dice.randint(16, 500)
        asked = {"model": "gpt-4o-mini", "input": text, "conversation": "conv_1", "max_output_tokens": most}
        await world.call(token, asked | more, path=RESPONSES)
        last = [call for call in await world.at_rest() if call.model and call.input_bound > 1][-1]
        held += [last.input_bound] * (len(talk.read) - ran)
    assert len(talk.read) > 5
    assert all(read <= bound for read, bound in zip(talk.read, held, strict=True))
    assert {call.overrun for call in await world.at_rest()} == {0}
