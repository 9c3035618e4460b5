"""A large file for a batch is read in steps: the loop of the worker has its turn between them."""

import asyncio
import json
from collections.abc import Awaitable

import pytest

from broker.core.errors import CallRefused
from broker.providers.anthropic_batches import MakeBatch
from broker.providers.dialect import Reading
from broker.providers.form import File
from broker.providers.openai_files import MakeFile, read_lines
from broker.providers.registry import Provider
from broker.proxy.large import LargeBodies
from tests.proxy.test_form import END, TYPE, file, text

PATH = "/v1/files"


def line(size: int, model: str = "gpt-4o-mini", **more: object) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "x" * size}]} | more
    asked = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(asked).encode()


def form(*lines: bytes) -> bytes:
    return text("purpose", "batch") + file("file", "a.jsonl", "application/jsonl", b"\n".join(lines)) + END


@pytest.fixture
def openai() -> Provider:
    return Provider("openai", "openai", "https://api.openai.com")


async def turns_beside(reading: Awaitable[object]) -> int:
    """How often others had their turn."""
    taken = 0

    async def others() -> None:
        nonlocal taken
        while True:
            taken += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    await reading
    running.cancel()
    return taken


@pytest.mark.parametrize(
    ("count", "size", "turns"),
    # A step ends with the line that brings it to 64 KiB, for which each line counts a kilobyte more than it has.
    [(1_000, 10, 1_000 // 64), (40, 60_000, 20)],
    ids=["many lines", "long lines"],
)
async def test_others_have_their_turn_while_a_file_is_read(openai: Provider, count: int, size: int, turns: int) -> None:
    raw = form(*[line(size)] * count)
    assert await turns_beside(LargeBodies().read_form(MakeFile(), TYPE, raw, openai, PATH, again=False)) >= turns


async def test_others_have_their_turn_while_a_batch_of_messages_is_read() -> None:
    anthropic = Provider("anthropic", "anthropic", "https://api.anthropic.com")
    params = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    raw = json.dumps({"requests": [{"custom_id": str(number), "params": params} for number in range(1_000)]}).encode()
    path = "/v1/messages/batches"
    assert await turns_beside(LargeBodies().read_json(MakeBatch(), raw, anthropic, path)) >= 1_000 // 64


async def test_two_files_are_read_one_after_the_other(openai: Provider) -> None:
    bodies, ended = LargeBodies(), []

    async def read(name: str, count: int) -> None:
        await bodies.read_form(MakeFile(), TYPE, form(*[line(10)] * count), openai, PATH, again=False)
        ended.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(read("long", 150))
        group.create_task(read("short", 70))
    assert ended == ["long", "short"]


async def test_a_file_that_is_refused_lets_the_next_be_read(openai: Provider) -> None:
    bodies = LargeBodies()
    with pytest.raises(CallRefused):
        await bodies.read_form(MakeFile(), TYPE, form(b"no line"), openai, PATH, again=False)
    reading, _ = await bodies.read_form(MakeFile(), TYPE, form(line(10)), openai, PATH, again=False)
    assert isinstance(reading, Reading)


def output_of(provider: Provider, *lines: bytes) -> int:
    steps = read_lines(File("a.jsonl", "application/jsonl", b"\n".join(lines)), provider)
    try:
        while True:
            next(steps)
    except StopIteration as done:
        output: int = done.value[1].output
        return output


def test_a_line_without_a_maximum_has_that_of_its_model(openai: Provider) -> None:
    # 16,384 of a context of 128,000.
    assert output_of(openai, line(10)) == 16_384


def test_where_the_list_has_the_whole_context_alone_the_input_is_taken_from_it(openai: Provider) -> None:
    # gpt-4 reads and writes 8,192 together.
    whole = output_of(openai, line(10, "gpt-4"))
    assert 7_500 < whole < 8_192
    assert output_of(openai, line(110, "gpt-4")) == whole - 100
    assert output_of(openai, line(10, "gpt-4", max_tokens=8_192)) == 8_192
