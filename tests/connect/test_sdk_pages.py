"""The lines of Python on the pages run: the official SDKs ask the command for a token before they call."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_anthropic import answer_messages
from tests.fake_provider import FakeProvider, Script, answer_chat, provider_in_a_thread
from tests.rooms import CHECKOUT

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def _prints_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `broker` that prints which connection it was asked for."""
    (tmp_path / "broker").write_text('#!/bin/sh\necho "token-of-$2"\n')
    (tmp_path / "broker").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def run_page(name: str, address: str) -> Any:
    """The client that the page makes."""
    page = (CHECKOUT / f"docs/how-to/clients/{name}.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    made: dict[str, Any] = {}
    exec(code.replace(f"https://broker.example/proxy/{name}", address), made)  # noqa: S102 - it is what is tested
    return made["client"].with_options(max_retries=0)


def served(script: Script) -> Iterator[FakeProvider]:
    with provider_in_a_thread(script) as provider:
        yield provider


@pytest.fixture
def openai_here() -> Iterator[FakeProvider]:
    yield from served(answer_chat)


@pytest.fixture
def anthropic_here() -> Iterator[FakeProvider]:
    yield from served(answer_messages)


def test_the_openai_sdk_asks_for_a_token_before_each_call(openai_here: FakeProvider) -> None:
    with run_page("openai", openai_here.url) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert openai_here.asked[-1].header("authorization") == "Bearer token-of-openai"


def test_the_anthropic_sdk_asks_for_a_token_when_the_one_it_has_is_old(anthropic_here: FakeProvider) -> None:
    with run_page("anthropic", anthropic_here.url) as client:
        client.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
    assert anthropic_here.asked[-1].header("authorization") == "Bearer token-of-anthropic"
