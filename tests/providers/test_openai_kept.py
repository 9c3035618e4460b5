"""What OpenAI keeps of responses: when it is asked for, what it needs, and what an answer tells of it."""

from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.dialect import Kept, Name, Reading
from broker.providers.openai import OpenAI, Responses
from broker.providers.openai_kept import KEPT_FOR
from broker.providers.openai_request import MESSAGE_TOKENS
from broker.providers.paging import paging
from broker.providers.registry import Provider
from tests.fake_openai import response

PATH = "/v1/responses"
OPENAI = Provider("openai", "openai", "https://api.openai.com")
OTHER = Provider("local", "openai", "http://127.0.0.1:1")


def read(provider: Provider = OPENAI, **changes: Any) -> Reading:
    asked = {"model": "gpt-4o-mini", "input": "Hello"} | changes
    return Responses().read(asked, len(dumps(asked)), provider, PATH)


def test_what_is_to_be_kept_needs_files() -> None:
    found = read(store=True)
    assert (found.extra_actions, found.wish, found.unbounded) == (frozenset(["files"]), "", "")
    assert found.kept is not None
    assert loads(found.render(9))["store"] is True  # type: ignore[index,call-overload]


def test_where_the_app_says_nothing_it_is_kept_only_if_files_are_granted() -> None:
    found = read()
    assert (found.extra_actions, found.wish) == (frozenset(), "files")
    assert found.render_kept is not None
    told: Any = [loads(render(9)) for render in (found.render, found.render_kept)]
    assert [(each["store"], each["max_output_tokens"]) for each in told] == [(False, 9), (True, 9)]


def test_what_is_not_to_be_kept_is_not() -> None:
    found = read(store=False)
    assert (found.wish, found.kept, found.render_kept, found.extra_actions) == ("", None, None, frozenset())


def test_a_response_that_follows_another_names_it() -> None:
    found = read(previous_response_id="resp_1", store=False)
    assert (found.names, found.follows, found.extra_actions) == (
        (Name("response", "resp_1"),),
        True,
        frozenset(["files"]),
    )


@pytest.mark.parametrize("changes", [{"store": True}, {"previous_response_id": "resp_1"}], ids=str)
def test_at_another_server_nothing_is_kept(changes: dict[str, Any]) -> None:
    found = read(OTHER, **changes)
    assert found.unbounded
    assert (found.names, found.kept, found.wish) == ((), None, "")
    endpoint = OpenAI().endpoint("GET", "/v1/responses/resp_1")
    assert endpoint is not None
    assert endpoint.read({}, 0, OTHER, "/v1/responses/resp_1").unbounded


@pytest.mark.parametrize("changes", [{"store": "yes"}, {"store": 2}, {"previous_response_id": 5}], ids=str)
def test_what_has_a_wrong_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        read(**changes)
    assert refused.value.code == "invalid_request"


def test_what_follows_a_response_takes_its_input_and_its_output_as_input() -> None:
    kept = read(store=True).kept
    assert kept is not None
    assert kept(response(), Usage(10, 5)) == (Kept(Name("response", "resp_1"), 15 + MESSAGE_TOKENS, KEPT_FOR),)
    assert kept(response(), None) == (Kept(Name("response", "resp_1"), None, KEPT_FOR),)
    assert kept({"id": "../x", "output": []}, Usage(10, 5)) == ()
    assert kept([], None) == ()


def test_of_a_context_that_may_have_been_cut_nothing_is_known() -> None:
    kept = read(store=True, truncation="auto").kept
    assert kept is not None
    assert kept(response(), Usage(10, 5)) == (Kept(Name("response", "resp_1"), None, KEPT_FOR),)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/responses/resp_1", ("GET", "DELETE")),
        ("/v1/responses/resp_1/input_items", ("GET",)),
        ("/v1/responses/resp_1/cancel", ("POST",)),
        ("/v1/responses/resp_1/other", ()),
        ("/v1/responses/x", ()),
        ("/v1/responses/resp_../x", ()),
    ],
)
def test_the_paths_of_a_response(path: str, methods: tuple[str, ...]) -> None:
    assert OpenAI().methods(path) == methods
    for method in ("GET", "POST", "DELETE", "PUT"):
        assert (OpenAI().endpoint(method, path) is not None) == (method in methods)


@pytest.mark.parametrize(
    ("query", "crossing"),
    [
        (b"", ""),
        (b"limit=5&after=msg_1&order=asc", "?limit=5&order=asc&after=msg_1"),
        (b"limit=5&limit=-1&key=secret&after=a%26b&order=up&stream=true", ""),
        (b"limit=%d9%a5", ""),
    ],
)
def test_of_a_query_only_the_part_of_a_list_crosses(query: bytes, crossing: str) -> None:
    assert paging(query) == crossing
