"""Programs that others wrote on top of the providers' APIs, unmodified, pointed at the broker as their pages say.

`make programs` installs them under build/; without them these tests are skipped.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.canary import KEYS
from tests.fake_anthropic import answer_messages
from tests.fake_google import answer_generate
from tests.fake_mistral import MODEL as MISTRAL
from tests.fake_mistral import answer_mistral
from tests.fake_openai import answer_openai
from tests.fake_provider import (
    DONE,
    LAST_CHUNK,
    Asked,
    FakeProvider,
    Script,
    chunk,
    delta,
    event,
    head,
    provider_in_a_thread,
    usage_event,
)
from tests.serve.installation import Granted, Installation
from tests.serve.running import CHECKOUT, PATIENCE

HERE, INSTALLED = CHECKOUT / "tests/programs", CHECKOUT / "build/programs"
PYTHON, MODULES = INSTALLED / "venv/bin/python", INSTALLED / "node_modules"
NODE = shutil.which("node")

needs_python = pytest.mark.skipif(not PYTHON.exists(), reason="make programs installs LangChain and LiteLLM")
needs_modules = pytest.mark.skipif(
    NODE is None or not (MODULES / "ai").exists(), reason="make programs installs the AI SDK, where npm is"
)

MODELS = {
    "openai": ["gpt-4o-mini", "text-embedding-3-small"],
    "anthropic": ["claude-haiku-4-5"],
    "google": ["gemini-2.5-flash"],
    "mistral": [MISTRAL],
}


async def answer_with_a_reason(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """As OpenAI does: LiteLLM takes no stream for whole that does not say why it ended."""
    if asked.target != "/v1/chat/completions" or not asked.json().get("stream"):
        await answer_openai(asked, writer)
        return
    last = delta("") | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    writer.write(head(200, "text/event-stream"))
    for each in (delta("Hello"), delta(" there."), last, usage_event()):
        writer.write(chunk(event(each)))
    writer.write(chunk(DONE) + LAST_CHUNK)
    await writer.drain()


_SCRIPTS: dict[str, Script] = {
    "anthropic": answer_messages,
    "google": answer_generate,
    "mistral": answer_mistral,
    "openai": answer_with_a_reason,
}


async def answer_each(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """All providers at one address, told apart by what stands before their own paths."""
    _, name, rest = asked.target.split("/", 2)
    asked.target = f"/{rest}"
    await _SCRIPTS[name](asked, writer)


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider
    granted: dict[str, Granted]

    def run(self, *words: str, **more: str) -> Any:
        """In an environment with the variables of the page alone."""
        variables = {
            "OPENAI_BASE_URL": f"{self.address}/proxy/openai/v1",
            "ANTHROPIC_BASE_URL": f"{self.address}/proxy/anthropic",
            "GOOGLE_GEMINI_BASE_URL": f"{self.address}/proxy/google",
            "GEMINI_API_BASE": f"{self.address}/proxy/google/v1beta",
            "GEMINI_API_KEY": self.granted["google"].token,
            "GOOGLE_GENERATIVE_AI_BASE_URL": f"{self.address}/proxy/google/v1beta",
            "GOOGLE_GENERATIVE_AI_API_KEY": self.granted["google"].token,
            "MISTRAL_SERVER_URL": f"{self.address}/proxy/mistral",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks its own server for prices
            "PATH": os.environ["PATH"],
        }
        keys = {f"{name.upper()}_API_KEY": granted.token for name, granted in self.granted.items()}
        done = subprocess.run(
            words, env=variables | keys | more, capture_output=True, text=True, timeout=PATIENCE * 10, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with provider_in_a_thread(answer_each) as provider:
        settings = {f"BROKER_PROVIDER_{name.upper()}_BASE_URL": f"{provider.url}/{name}" for name in MODELS}
        installation = Installation(tmp_path_factory.mktemp("programs"), settings)
        installation.furnish()
        for name in MODELS.keys() - {"openai"}:
            words = ("--provider", name, "--user", "ana@example.com", "--no-check")
            installation.broker("key", "add", *words, stdin=KEYS[name] + "\n")
        granted = {
            name: installation.grant(provider=name, models=models, actions=["chat", "embeddings"])
            for name, models in MODELS.items()
        }
        with installation.serving() as server:
            yield Place(installation, server.address, provider, granted)


HELLO = ["Hello.", "Hello there."]


@needs_python
def test_langchain(place: Place) -> None:
    told = place.run(str(PYTHON), str(HERE / "langchain_calls.py"), GOOGLE_API_KEY=place.granted["google"].token)
    assert {name: told[name] for name in ("openai", "anthropic", "google")} == dict.fromkeys(
        ("openai", "anthropic", "google"), HELLO
    )
    assert told["embedding"] == [0.5, -0.5]
    assert all(place.installation.settled(place.granted[name].grant_id) > 0 for name in told if name != "embedding")


@needs_python
def test_litellm(place: Place) -> None:
    told = place.run(str(PYTHON), str(HERE / "litellm_calls.py"))
    assert told["said"] == dict.fromkeys(("openai", "anthropic", "google"), HELLO)
    assert told["refused"] == 403


@needs_modules
def test_the_ai_sdk(place: Place) -> None:
    script = str(
        shutil.copy(HERE / "ai_sdk.mjs", INSTALLED / "ai_sdk.mjs")
    )  # beside the modules: node looks for them there
    # Its Anthropic address has the version in it.
    told = place.run(str(NODE), script, ANTHROPIC_BASE_URL=f"{place.address}/proxy/anthropic/v1")
    assert told["said"].pop("openai responses") == ["Hello there.", "Hello there."]
    assert told["said"] == dict.fromkeys(("openai chat", "openai compatible", "anthropic", "google", "mistral"), HELLO)
    assert told["refused"] == 403


def test_what_reaches_the_provider_has_no_token_of_ours(place: Place) -> None:
    sent = json.dumps([[asked.target, asked.headers, asked.body.decode()] for asked in place.provider.asked])
    assert not any(granted.token in sent for granted in place.granted.values())
