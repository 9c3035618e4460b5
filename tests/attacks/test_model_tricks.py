"""A request that means another model than the one it is judged by, and what else it may name a model with."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.place import Place, Said, attacked
from tests.fake_provider import FakeProvider, answer_chat, provider_in_a_thread

MINE = {"openai": ["gpt-4o-mini"], "anthropic": ["claude-haiku-4-5"], "google": ["gemini-2.5-flash"]}
OTHER = {"openai": "gpt-4o", "anthropic": "claude-opus-4-1", "google": "gemini-2.5-pro"}
MESSAGES = [{"role": "user", "content": "Hello"}]
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a chat": ("openai", "/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 9}),
    "a response": ("openai", "/v1/responses", {"input": "Hello", "max_output_tokens": 20, "store": False}),
    "a completion": ("openai", "/v1/completions", {"prompt": "Hello", "max_tokens": 9}),
    "an embedding": ("openai", "/v1/embeddings", {"input": "Hello"}),
    "a moderation": ("openai", "/v1/moderations", {"input": "Hello"}),
    "a message": ("anthropic", "/v1/messages", {"messages": MESSAGES, "max_tokens": 9}),
    "a count": ("anthropic", "/v1/messages/count_tokens", {"messages": MESSAGES}),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with attacked(tmp_path_factory.mktemp("models"), MINE) as made:
        yield made


def ask(place: Place, call: str, members: str) -> Said:
    """`members` stand beside those that the call needs, as they are written."""
    dialect, path, rest = CALLS[call]
    body = f"{{{json.dumps(rest)[1:-1]}{', ' * bool(members)}{members}}}"
    return place.call(f"/proxy/{dialect}{path}", body.encode("utf-8", "surrogatepass"), dialect=dialect)


def names(call: str) -> tuple[str, str]:
    dialect = CALLS[call][0]
    return MINE[dialect][0], OTHER[dialect]


@pytest.mark.parametrize("call", CALLS)
def test_what_is_tried_here_is_judged_for_its_model_alone(place: Place, call: str) -> None:
    """The same request, without a trick, is taken: it reaches the provider, whatever that makes of it."""
    mine, _ = names(call)
    before = len(place.provider.asked)
    ask(place, call, f'"model": "{mine}"')
    assert len(place.provider.asked) == before + 1
    assert place.provider.asked[-1].json()["model"] == mine


@pytest.mark.parametrize("call", CALLS)
def test_a_model_outside_the_grant(place: Place, call: str) -> None:
    with place.nothing_arrives():
        said = ask(place, call, f'"model": "{names(call)[1]}"')
    assert (said.status, said.code) == (403, "model_not_granted")


@pytest.mark.parametrize("call", CALLS)
def test_two_models_in_either_order_and_however_they_are_written(place: Place, call: str) -> None:
    with place.nothing_arrives():
        for first, last in (names(call), names(call)[::-1]):
            for one, two in (("model", "model"), ("model", "\\u006dodel"), ("\\u006dodel", "mode\\u006c")):
                said = ask(place, call, f'"{one}": "{first}", "{two}": "{last}"')
                assert (said.status, said.code) == (400, "invalid_request")


OTHER_NAMES = (
    "Model", "MODEL", " model", "model ", "model\\u0000", "model\\u200b", "\\uff4dodel", "m\\u043edel",
    "engine", "models", "deployment", "deployment_id", "model_id", "modelId", "model_name", "azure_deployment",
    "fallbacks", "route", "__proto__",
)  # fmt: skip


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_another_name_for_the_model(place: Place, name: str) -> None:
    with place.nothing_arrives():
        for call in CALLS:
            mine, other = names(call)
            beside = ask(place, call, f'"model": "{mine}", "{name}": "{other}"')
            instead = ask(place, call, f'"{name}": "{mine}"')
            assert (beside.status, beside.code) == (403, "not_boundable")
            assert instead.code == ("model_not_granted" if call == "a moderation" else "invalid_request")


VALUES = (
    "{mine} ", " {mine}", "\\t{mine}", "{mine}\\u0000", "{mine}\\u0000{other}", "{mine}\\u200b", "{mine}\\ufeff",
    "{mine}\\n", "{mine}/../{other}", "./{mine}", "openai/{mine}", "models/{mine}", "{mine}:free", "{mine}:{other}",
    "{mine}@latest", "{mine},{other}", "{mine}|{other}", "{mine}?model={other}", "{mine}#", "%67pt-4o", "*", "{mine}*",
    "ft:{mine}:org::1", "{mine}-latest", "\\uff47pt-4o-mini", "gpt-4\\u043e-mini", "cl\\u0430ude-haiku-4-5", "", "$(id)",
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_a_value_that_only_looks_like_the_model(place: Place, value: str) -> None:
    with place.nothing_arrives():
        for call in CALLS:
            mine, other = names(call)
            said = ask(place, call, f'"model": "{value.format(mine=mine, other=other)}"')
            assert (said.status, said.code) in ((400, "invalid_request"), (403, "model_not_granted"))


@pytest.mark.parametrize("call", CALLS)
def test_the_model_in_other_letters(place: Place, call: str) -> None:
    mine, _ = names(call)
    with place.nothing_arrives():
        for written in (mine.upper(), mine.capitalize(), mine.swapcase(), mine.title()):
            assert ask(place, call, f'"model": "{written}"').code == "model_not_granted"


TYPES = ("null", "0", "1", "true", "1.5", '["{mine}"]', '{"id": "{mine}"}', "NaN", "Infinity", "[]", '"\\ud800"')


@pytest.mark.parametrize("value", TYPES)
def test_a_model_that_is_no_text(place: Place, value: str) -> None:
    with place.nothing_arrives():
        for call in CALLS:
            said = ask(place, call, f'"model": {value.replace("{mine}", names(call)[0])}')
            assert (said.status, said.code) == (400, "invalid_request")


@pytest.mark.parametrize("call", [call for call in CALLS if call != "a moderation"])
def test_no_model_at_all(place: Place, call: str) -> None:
    with place.nothing_arrives():
        assert (ask(place, call, "").status, ask(place, call, "").code) == (400, "invalid_request")


def test_a_moderation_that_names_none_is_judged_by_the_providers_own(place: Place) -> None:
    with place.nothing_arrives():
        assert ask(place, "a moderation", "").code == "model_not_granted"


@pytest.fixture(scope="module")
def canary() -> Iterator[FakeProvider]:
    """Where a gateway would go that believes what a request says of its provider."""
    with provider_in_a_thread(answer_chat) as listening:
        yield listening


ELSEWHERE = (
    "api_base", "base_url", "api_url", "url", "endpoint", "proxy", "extra_headers", "extra_body", "extra_query",
    "litellm_params", "api_key", "api_version", "organization", "custom_llm_provider", "provider", "headers", "target",
)  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_request_that_says_where_it_is_to_go(place: Place, canary: FakeProvider, name: str) -> None:
    with place.nothing_arrives():
        for call in CALLS:
            for value in (canary.url, {"api_base": canary.url, "Authorization": canary.url}):
                said = ask(place, call, f'"model": "{names(call)[0]}", "{name}": {json.dumps(value)}')
                assert (said.status, said.code) == (403, "not_boundable")
    assert (canary.connections, canary.received) == (0, 0)


ASKED = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "generationConfig": {"maxOutputTokens": 9}}
PATHS = {
    "another": ("/v1beta/models/gemini-2.5-pro:generateContent", 403),
    "in capitals": ("/v1beta/models/GEMINI-2.5-FLASH:generateContent", 403),
    "a longer name": ("/v1beta/models/gemini-2.5-flash-lite:generateContent", 403),
    "a star": ("/v1beta/models/*:generateContent", 404),
    "two methods": ("/v1beta/models/gemini-2.5-flash:generateContent:generateContent", 404),
    "two models": ("/v1beta/models/gemini-2.5-flash/models/gemini-2.5-pro:generateContent", 404),
    "a step back": ("/v1beta/models/gemini-2.5-flash/../gemini-2.5-pro:generateContent", 404),
    "a step back in percent": ("/v1beta/models/gemini-2.5-flash%2f..%2fgemini-2.5-pro:generateContent", 404),
    "the colon in percent": ("/v1beta/models/gemini-2.5-flash%3agenerateContent", 404),
    "a letter in percent": ("/v1beta/models/%67emini-2.5-flash:generateContent", 404),
    "a tuned model": ("/v1beta/tunedModels/gemini-2.5-flash:generateContent", 404),
    "of a publisher": ("/v1beta/publishers/google/models/gemini-2.5-flash:generateContent", 404),
    "its name twice": ("/v1beta/models/models/gemini-2.5-flash:generateContent", 404),
    "a parameter of the segment": ("/v1beta/models/gemini-2.5-flash;v=2:generateContent", 404),
    "NUL": ("/v1beta/models/gemini-2.5-flash%00:generateContent", 404),
    "a space": ("/v1beta/models/gemini-2.5-flash%20:generateContent", 404),
    "no model": ("/v1beta/models/:generateContent", 404),
    "the method in capitals": ("/v1beta/models/gemini-2.5-flash:GENERATECONTENT", 404),
    "the method in percent": ("/v1beta/models/gemini-2.5-flash:generate%43ontent", 404),
}


@pytest.mark.parametrize("trick", PATHS)
def test_google_is_judged_by_the_model_in_the_path(place: Place, trick: str) -> None:
    path, status = PATHS[trick]
    with place.nothing_arrives():
        said = place.call(f"/proxy/google{path}", ASKED, dialect="google")
    assert (said.status, said.code) == (status, "model_not_granted" if status == 403 else "not_found")


@pytest.mark.parametrize("name", ["model", "models", "Model", "modelId", "\\u006dodel"])
def test_a_model_in_the_body_makes_google_no_other_call(place: Place, name: str) -> None:
    for model in ("gemini-2.5-pro", "models/gemini-2.5-pro", "models/gemini-2.5-flash/../gemini-2.5-pro"):
        body = f'{{{json.dumps(ASKED)[1:-1]}, "{name}": "{model}"}}'.encode()
        with place.nothing_arrives():
            said = place.call("/proxy/google/v1beta/models/gemini-2.5-flash:generateContent", body, dialect="google")
        assert (said.status, said.code) in ((403, "not_boundable"), (400, "invalid_request"))


def test_a_model_in_the_query_is_not_read_and_does_not_cross(place: Place) -> None:
    target = "/v1beta/models/gemini-2.5-flash:generateContent"
    query = "?model=gemini-2.5-pro&key=AIza&alt=json&$alt=proto&api-version=1"
    place.call(f"/proxy/google{target}{query}", ASKED, dialect="google")
    assert place.provider.asked[-1].target == target
