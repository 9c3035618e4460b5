"""Paths that a decoder, a normaliser or a client library would read as another: none of them leads to a provider."""

from collections.abc import Iterator

import pytest

from tests.attacks.place import GOOD, Place, attacked
from tests.fake_provider import FakeProvider, answer_chat, provider_in_a_thread

MODELS = {"openai": ["*"], "anthropic": ["*"], "google": ["*"]}
CALLS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/gemini-2.5-flash:generateContent",
}
NOT_THERE = {
    "steps back": """
        /../admin /../../admin /../../keys /v1/../../admin /v1/../../../health/live /v1/.. {call}/.. {call}/../x
        /./{call} /v1/./x /.. /.{call}
    """,
    "steps back in percent": """
        /%2e%2e/admin /v1/%2e%2e%2f%2e%2e/admin /v1/..%2f..%2fadmin /v1/%252e%252e/admin /v1/%c0%ae%c0%ae/admin
        /v1/%uff0e%uff0e/admin /v1/%2E%2E/admin /v1/.%2e/admin /v1/%ef%bc%8e%ef%bc%8e/admin %2f..{call} /%2e{call}
    """,
    "marks of other readers": r"""
        /v1\..\admin \v1\x {call}\ /v1/..;/admin {call};x {call};v=1 /;{call} {call}%00 {call}%00.json {call}%0d%0a
        {call}%0d%0aX-A:%20b {call}%3f {call}%3fx=y {call}%23 {call}%23x {call}%20 {call}%09 {call}%5c {call}%2f
        {call}' {call}" {call}| {call}~ {call}* {call}! {call}$ {call}, {call}( {call}@
    """,
    "other spellings": """
        {call}/ /{call} {call}// //{call} /V1/chat/completions /v1/Chat/Completions {upper} /v2{call} /v1/v1{call}
        /v1{call} {call}.json {call}x /v10/chat/completions /v1beta/chat/completions /v1beta2/models
        /openai/v1/chat/completions /proxy{call}
    """,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with attacked(tmp_path_factory.mktemp("paths"), MODELS) as made:
        yield made


@pytest.fixture(scope="module")
def canary() -> Iterator[FakeProvider]:
    with provider_in_a_thread(answer_chat) as listening:
        yield listening


def spelled(kind: str, dialect: str) -> list[str]:
    call = CALLS[dialect]
    return [each.format(call=call, upper=call.upper()) for each in NOT_THERE[kind].split()]


@pytest.mark.parametrize("dialect", CALLS)
@pytest.mark.parametrize("kind", NOT_THERE)
def test_what_is_not_the_path_itself_is_not_there(place: Place, kind: str, dialect: str) -> None:
    with place.nothing_arrives():
        told = {path: place.call(f"/proxy/{dialect}{path}", GOOD, dialect=dialect) for path in spelled(kind, dialect)}
    assert {path: said for path, said in told.items() if (said.status, said.code) != (404, "not_found")} == {}


@pytest.mark.parametrize("provider", ["OpenAI", "OPENAI", "openai.", "openai%00", "openai;x", "%6fpenai", ".openai"])
def test_a_provider_by_another_spelling_is_none(place: Place, provider: str) -> None:
    with place.nothing_arrives():
        assert place.call(f"/proxy/{provider}/v1/chat/completions", GOOD).status == 404


@pytest.mark.parametrize("dialect", CALLS)
def test_an_address_in_the_path_is_not_gone_to(place: Place, canary: FakeProvider, dialect: str) -> None:
    host, call = canary.url.removeprefix("http://"), CALLS[dialect]
    targets = [
        f"/proxy/{dialect}/{canary.url}{call}", f"/proxy/{dialect}//{host}{call}", f"/proxy/{dialect}@{host}{call}",
        f"/proxy/{dialect}/@{host}{call}", f"/proxy/{dialect}:{host}{call}", f"/proxy/{dialect}.{host}{call}",
        f"/proxy/{dialect}/\\\\{host}{call}", f"/proxy/{canary.url}{call}", f"/proxy//{host}{call}",
        f"{canary.url}/proxy/{dialect}{call}", f"@{host}/proxy/{dialect}{call}", f"//{host}/proxy/{dialect}{call}",
        f"/proxy/{dialect}/%68ttp:%2f%2f{host}{call}", f"/proxy/{dialect}#@{host}{call}",
    ]  # fmt: skip
    with place.nothing_arrives():
        told = {target: place.call(target, GOOD, dialect=dialect).status for target in targets}
    assert {target: status for target, status in told.items() if status not in (400, 404)} == {}
    assert (canary.connections, canary.received) == (0, 0)


@pytest.mark.parametrize(
    "query",
    [
        "key=AIzaSyOther", "api_key=x", "model=gpt-4o", "api-version=2026-01-01", "base_url=http://evil.test",
        "alt=json", "alt=media", "$alt=proto", "beta=true", "a=b%0d%0aX-Evil:%20yes", "%0d%0a", "?", "&&&", "=", "a" * 2000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("dialect", CALLS)
def test_a_query_does_not_cross(place: Place, dialect: str, query: str) -> None:
    asked = {
        "openai": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9},
        "anthropic": {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9},
        "google": {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
    }[dialect]
    before = len(place.provider.asked)
    place.call(f"/proxy/{dialect}{CALLS[dialect]}?{query}", asked, dialect=dialect)
    assert [each.target for each in place.provider.asked[before:]] == [CALLS[dialect]]
