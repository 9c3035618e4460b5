"""What the operator calls harmless of a server of their own is forwarded there, in every dialect, and nowhere else."""

from typing import Any

import pytest

from broker.core.strict_json import dumps, loads
from broker.providers.dialect import Reading
from broker.providers.registry import Provider
from broker.proxy.pipeline import DIALECTS

HELLO: Any = [{"role": "user", "content": "Hello"}]
CONTENTS: Any = [{"role": "user", "parts": [{"text": "Hello"}]}]
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("openai", "/v1/chat/completions", {"model": "m", "messages": HELLO}),
    ("openai", "/v1/responses", {"model": "m", "input": "Hello"}),
    ("openai", "/v1/completions", {"model": "m", "prompt": "Hello"}),
    ("openai", "/v1/embeddings", {"model": "m", "input": "Hello"}),
    ("anthropic", "/v1/messages", {"model": "m", "messages": HELLO}),
    ("google", "/v1beta/models/m:generateContent", {"contents": CONTENTS}),
    ("google", "/v1beta/models/m:embedContent", {"content": CONTENTS[0]}),
    ("mistral", "/v1/chat/completions", {"model": "m", "messages": HELLO}),
    ("mistral", "/v1/embeddings", {"model": "m", "input": "Hello"}),
    ("cohere", "/v2/chat", {"model": "m", "messages": HELLO}),
    ("cohere", "/v2/embed", {"model": "m", "texts": ["Hello"]}),
    ("azure", "/deployments/m/chat/completions", {"messages": HELLO}),
]


def read(dialect: str, path: str, body: dict[str, Any], *fields: str) -> Reading:
    endpoint = DIALECTS[dialect].endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(
        body, len(dumps(body)), Provider("own", dialect, "http://127.0.0.1:1", frozenset(fields)), path
    )


@pytest.mark.parametrize(("dialect", "path", "body"), REQUESTS, ids=[f"{each[0]} {each[1]}" for each in REQUESTS])
def test_a_field_that_was_allowed_is_sent_and_another_is_named(dialect: str, path: str, body: dict[str, Any]) -> None:
    asked = body | {"mine": {"a": 1}}
    assert read(dialect, path, asked).unbounded.endswith(": mine.")
    allowed = read(dialect, path, asked, "mine")
    assert allowed.unbounded == ""
    sent: Any = loads(allowed.render(9))
    assert sent["mine"] == {"a": 1}
    assert read(dialect, path, asked | {"other": 1}, "mine").unbounded.endswith(": other.")
