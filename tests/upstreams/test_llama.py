"""llama.cpp's own server and a real model: what it says it has worked is what the ledger says was used, to the token."""

import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.canary import KEYS
from tests.serve.installation import Installation, free_port
from tests.serve.running import Running
from tests.upstreams import programs
from tests.upstreams.ledger import Row, rows

pytestmark = programs.needs_python

MODEL = "smollm2"
ACTIONS = ["chat", "completions", "embeddings"]
PRICES = {"input": 100_000, "output": 400_000, "cached": 50_000}
"""Micro-dollars a million tokens."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What llama.cpp has done since it started, by its own metrics: prompt tokens it computed and those it had kept."""

    computed: int
    cached: int
    predicted: int

    def since(self, before: "Worked") -> "Worked":
        return Worked(self.computed - before.computed, self.cached - before.cached, self.predicted - before.predicted)

    def plus(self, more: "Worked") -> "Worked":
        return Worked(self.computed + more.computed, self.cached + more.cached, self.predicted + more.predicted)


@dataclass
class Place:
    installation: Installation
    server: Running
    llama: str
    openai: openai.OpenAI
    anthropic: anthropic.Anthropic

    def worked(self) -> Worked:
        told = httpx.get(f"{self.llama}/metrics", trust_env=False, timeout=60).text
        names = ("prompt_tokens_total", "prompt_tokens_cached_total", "tokens_predicted_total")
        figures = [re.search(rf"^llamacpp:{name} (\S+)$", told, re.MULTILINE) for name in names]
        return Worked(*[int(float(figure[1])) for figure in figures if figure])


def furnish(installation: Installation, llama: str) -> dict[str, str]:
    """One server under two names, for it speaks two dialects; gives a token for each."""
    installation.furnish()
    tokens = {}
    for name, dialect in (("llama", "openai"), ("llama-messages", "anthropic")):
        installation.broker("provider", "add", name, "--dialect", dialect, "--base-url", llama)
        words = ("--provider", name, "--user", "ana@example.com", "--no-check")
        installation.broker("key", "add", *words, stdin=KEYS["openai"] + "\n")
        prices = ("--input", "0.10", "--output", "0.40", "--cached-input", "0.05")
        installation.broker("price", "set", name, MODEL, *prices)
        actions = ACTIONS if dialect == "openai" else ["chat"]
        tokens[name] = installation.grant(provider=name, models=[MODEL], actions=actions).token
    return tokens


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("llama"), free_port()
    with programs.started(programs.llama(port), port, folder) as llama:
        installation = Installation(folder, {})
        tokens = furnish(installation, llama)
        with installation.serving() as server:
            base, key = f"{server.address}/proxy/llama/v1", tokens["llama"]
            other, token = f"{server.address}/proxy/llama-messages", tokens["llama-messages"]
            with (
                openai.OpenAI(base_url=base, api_key=key, max_retries=0, timeout=300) as one,
                anthropic.Anthropic(base_url=other, api_key=token, max_retries=0, timeout=300) as two,
            ):
                yield Place(installation, server, llama, one, two)


Call = Callable[[Place, str], object]
SHORT: Any = {"model": MODEL, "max_tokens": 3}


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def messages(place: Place, text: str) -> object:
    return place.anthropic.messages.create(**SHORT, messages=said(text))


def streamed_messages(place: Place, text: str) -> object:
    return list(place.anthropic.messages.create(**SHORT, messages=said(text), stream=True))


def counted_stream(place: Place, text: str) -> object:
    options: Any = {"include_usage": True}
    chat = place.openai.chat.completions.create(**SHORT, messages=said(text), stream=True, stream_options=options)
    return list(chat)


CALLS: dict[str, Call] = {
    "chat": lambda place, text: place.openai.chat.completions.create(**SHORT, messages=said(text)),
    "chat stream": lambda place, text: list(
        place.openai.chat.completions.create(**SHORT, messages=said(text), stream=True)
    ),
    "chat stream with usage": counted_stream,
    "completion": lambda place, text: place.openai.completions.create(**SHORT, prompt=text),
    "completion stream": lambda place, text: list(place.openai.completions.create(**SHORT, prompt=text, stream=True)),
    "response": lambda place, text: place.openai.responses.create(model=MODEL, input=text, max_output_tokens=3),
    "response stream": lambda place, text: list(
        place.openai.responses.create(model=MODEL, input=text, max_output_tokens=3, stream=True)
    ),
    "message": messages,
    "message stream": streamed_messages,
    "embedding": lambda place, text: place.openai.embeddings.create(model=MODEL, input=text),
}
TEXTS = ("Say hi", "Say hi to Ana", "Zähle bis drei: 一二三 🎈", "Say hi to Ana and to everyone else she knows")


def total(calls: list[Row]) -> Worked:
    cached = sum(row.cached_input_tokens for row in calls)
    return Worked(sum(row.input_tokens for row in calls) - cached, cached, sum(row.output_tokens for row in calls))


def cost(row: Row) -> int:
    """By hand, rounded up once."""
    plain = row.input_tokens - row.cached_input_tokens
    parts = (plain * PRICES["input"], row.cached_input_tokens * PRICES["cached"], row.output_tokens * PRICES["output"])
    return -(-sum(parts) // 1_000_000)


def one_by_one(place: Place, calls: list[tuple[Call, str]]) -> tuple[int, Worked]:
    """How many of these streams came without their first event, and what llama.cpp worked for them.

    It leaves `message_start` out of some when it is busy, also where nobody stands between: nobody learns their input then.
    """
    silent, lost = 0, Worked(0, 0, 0)
    for call, text in calls:
        before = place.worked()
        events: Any = call(place, text)
        if events[0].type != "message_start":
            silent += 1
            lost = lost.plus(place.worked().since(before))
    return silent, lost


def test_after_100_mixed_calls_the_ledger_says_what_llama_cpp_says(place: Place) -> None:
    before = place.worked()
    calls = [(call, text) for call in CALLS.values() for text in (*TEXTS, *TEXTS, TEXTS[0], TEXTS[1])]
    random.Random(20_261_130).shuffle(calls)
    alone = [each for each in calls if each[0] is streamed_messages]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: each[0](place, each[1]), [each for each in calls if each not in alone]))
    silent, lost = one_by_one(place, alone)
    booked = rows(place.server)
    assert len(answers) + len(alone) == len(booked) == 100
    # A library may hang up at the last event of a stream, before its end.
    assert {(row.status, row.outcome) for row in booked} - {(200, "client_left")} == {(200, "ok")}
    known = [row for row in booked if row.mark == "reported"]
    assert [row.cost == row.hold for row in booked if row.mark == "estimated"] == [True] * silent
    assert len(known) == 100 - silent
    assert total(known) == place.worked().since(before).since(lost)
    assert total(known).cached > 0
    assert [row for row in known if row.cost != cost(row) or row.cost > row.hold] == []
    assert place.installation.broker("ledger", "verify").startswith("OK")


def test_counting_tokens_costs_nothing_and_works_nothing(place: Place) -> None:
    before, booked = place.worked(), len(rows(place.server))
    counted = place.anthropic.messages.count_tokens(model=MODEL, messages=said("Say hi"))
    assert counted.input_tokens > 0
    [row] = rows(place.server)[booked:]
    assert (row.cost, row.output_tokens, place.worked()) == (0, 0, before)


def test_of_a_stream_that_its_app_left_every_token_is_in_the_ledger(place: Place) -> None:
    before, booked = place.worked(), len(rows(place.server))
    request: Any = {"model": MODEL, "max_tokens": 24, "messages": said("Tell me of the sea")}
    stream = place.openai.chat.completions.create(**request, stream=True)
    next(iter(stream))
    stream.close()
    [row] = rows(place.server)[booked:]
    assert (row.mark, row.outcome) == ("reported", "client_left")
    assert total([row]) == place.worked().since(before)
    assert row.cost == cost(row) > 0
