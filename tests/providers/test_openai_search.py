"""OpenAI's search of the web: what of it has a bound, what is sent, and what an answer says of it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.prices.book import PriceBook, using
from broker.providers.dialect import Reading
from broker.providers.openai import PURSUITS, Responses
from broker.providers.openai_search import CONTEXT, MOST_CALLS, USUAL_CALLS
from broker.providers.registry import Provider
from tests.fake_openai import response
from tests.turned_clock import NOON

OPENAI = Provider("openai", "openai", "https://api.openai.com")
OTHER = Provider("local", "openai", "http://127.0.0.1:1")
SEARCH: dict[str, Any] = {"type": "web_search"}
CALL: dict[str, Any] = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
MESSAGE: dict[str, Any] = {"role": "user", "content": "Hello"}


def read(provider: Provider = OPENAI, **changes: Any) -> Reading:
    asked: dict[str, Any] = {"model": "gpt-4o-mini", "input": "Hello", "store": False} | changes
    return Responses().read(asked, len(dumps(asked)), provider, "/v1/responses")


def sent(found: Reading) -> dict[str, Any]:
    told = loads(found.render(9))
    assert isinstance(told, dict)
    return told


def test_a_search_is_held_at_its_calls_and_at_the_turns_around_them() -> None:
    found = read(tools=[SEARCH], max_tool_calls=3)
    assert (found.unbounded, found.extra_actions, found.choices) == ("", frozenset(["web_search"]), 1)
    assert (found.input_bound, found.most, found.at_once) == (5 * CONTEXT, Extras(searches=3), CONTEXT)
    assert sent(found)["max_tool_calls"] == 3


def test_where_the_app_says_no_number_a_usual_one_is_sent() -> None:
    found = read(tools=[SEARCH])
    assert sent(found)["max_tool_calls"] == USUAL_CALLS
    assert found.most == Extras(searches=USUAL_CALLS)
    assert found.input_bound == (USUAL_CALLS + 2) * CONTEXT


def test_what_is_kept_is_sent_with_the_number_too() -> None:
    asked: dict[str, Any] = {"model": "gpt-4o-mini", "input": "Hello", "tools": [SEARCH]}
    found = Responses().read(asked, len(dumps(asked)), OPENAI, "/v1/responses")
    assert found.render_kept is not None
    told = loads(found.render_kept(9))
    assert isinstance(told, dict)
    assert (told["store"], told["max_tool_calls"]) == (True, USUAL_CALLS)


@pytest.mark.parametrize("model", ["o4-mini", "gpt-5", "gpt-5.4-mini", "gpt-6.1-sol", "gpt-5-2025-08-07"])
def test_of_models_that_think_its_earlier_version_costs_the_same(model: str) -> None:
    found = read(model=model, tools=[{"type": "web_search_preview", "search_context_size": "low"}], max_tool_calls=1)
    assert (found.unbounded, found.most) == ("", Extras(searches=1))
    assert read(model=model, tools=[{"type": "web_search_preview", "filters": {}}]).unbounded


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini-2025-04-14", "gpt-5-chat-latest", "gpt-7"])
def test_of_other_models_it_has_a_price_of_its_own_and_is_refused(model: str) -> None:
    assert read(model=model, tools=[{"type": "web_search_preview"}]).unbounded


def test_a_search_has_one_price_at_openai_and_nobodys_own_price_is_made_up_for() -> None:
    listed = PriceBook().find("openai", "gpt-5.3-codex", NOON)
    assert listed is not None
    price = using("openai", listed, Extras(searches=1))
    assert price is not None
    # $1.75 a million tokens, a search at $0.01.
    assert price.cost(Usage(1_000, 0, extras=Extras(searches=2))) == 1_750 + 2 * 10_000
    assert using("mistral", listed, Extras(searches=1)) is None
    assert using("openai", replace(listed, source="operator"), Extras(searches=1)) is None


def test_no_call_is_no_search() -> None:
    found = read(tools=[SEARCH], max_tool_calls=0)
    assert (found.most, found.input_bound, sent(found)["max_tool_calls"]) == (NO_EXTRAS, 2 * CONTEXT, 0)


def test_a_request_without_searches_says_as_many_calls_as_the_app() -> None:
    found = read(max_tool_calls=500)
    assert (sent(found)["max_tool_calls"], found.at_once, found.most) == (500, None, NO_EXTRAS)
    assert "max_tool_calls" not in sent(read())


def test_a_request_that_is_longer_than_that_is_read_as_often_at_the_context_of_the_model() -> None:
    found = read(model="gpt-4.1", input="x" * (CONTEXT + 1), tools=[SEARCH], max_tool_calls=1)
    assert (found.input_bound, found.at_once) == (3 * 1_047_576, 1_047_576)
    assert read(model="gpt-6-luna", input="x" * (CONTEXT + 1), tools=[SEARCH]).unbounded


def test_a_small_context_stays_small() -> None:
    assert read(model="gpt-4", tools=[SEARCH], max_tool_calls=1).input_bound == 3 * 8_192


def test_an_earlier_search_may_be_read_again() -> None:
    found = read(input=[MESSAGE, CALL, MESSAGE])
    assert (found.unbounded, found.extra_actions, found.most) == ("", frozenset(["web_search"]), NO_EXTRAS)
    assert found.input_bound == 128_000
    assert read(model="gpt-6-luna", input=[MESSAGE, CALL]).unbounded
    assert read(model="gpt-6-luna", input=[MESSAGE, CALL], tools=[SEARCH]).unbounded == ""


NOT_TAKEN: dict[str, dict[str, Any]] = {
    "before": {"tools": [{"type": "web_search_preview"}]},
    "as it was then": {"tools": [{"type": "web_search_preview_2025_03_11"}]},
    "later": {"tools": [{"type": "web_search_2099_01_01"}]},
    "any length": {"tools": [SEARCH | {"return_token_budget": "unlimited"}]},
    "pictures": {"tools": [SEARCH | {"search_content_types": ["image"]}]},
    "too many": {"tools": [SEARCH], "max_tool_calls": MOST_CALLS + 1},
    "fewer than none": {"tools": [SEARCH], "max_tool_calls": -1},
    "no number": {"tools": [SEARCH], "max_tool_calls": "3"},
    "true": {"tools": [SEARCH], "max_tool_calls": True},
    "within others": {"tools": [{"type": "namespace", "tools": [SEARCH]}]},
    "within others, too": {"tools": [SEARCH, {"type": "namespace", "tools": [SEARCH]}]},
    "results": {"input": [CALL | {"results": []}]},
    "by itself": {"model": "o3-deep-research", "tools": [SEARCH]},
}


@pytest.mark.parametrize("changes", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_a_search_without_a_bound_needs_its_action_and_is_refused(changes: dict[str, Any]) -> None:
    found = read(**changes)
    assert found.unbounded
    assert "web_search" in found.extra_actions


@pytest.mark.parametrize("changes", [{"tools": [SEARCH]}, {"input": [MESSAGE, CALL]}], ids=str)
def test_at_another_server_nothing_is_known_of_searches(changes: dict[str, Any]) -> None:
    assert read(OTHER, **changes).unbounded


def usage_of(answer: dict[str, Any]) -> tuple[Usage | None, bool]:
    endpoint = read(tools=[SEARCH]).answered_by
    assert endpoint is not None
    return endpoint.usage(answer)


@pytest.mark.parametrize(
    ("action", "count"),
    [
        ({"type": "search"}, 1), (None, 1), ({}, 1), ("open_page", 1), ({"type": "open_page"}, 0), ({"type": "find_in_page"}, 0),
        ({"type": "something new"}, 1),
    ],
    ids=str,
)  # fmt: skip
def test_a_call_is_a_search_unless_it_says_that_it_only_reads(action: object, count: int) -> None:
    answer = response() | {"output": [CALL | {"action": action}]}
    assert usage_of(answer) == (Usage(10, 5, extras=Extras(searches=count)), False)


@pytest.mark.parametrize("output", [None, {}, "x"], ids=str)
def test_an_answer_that_does_not_say_what_it_did_has_no_usage(output: object) -> None:
    assert usage_of(response() | {"output": output}) == (None, True)


def test_in_the_background_searches_are_counted_too() -> None:
    answer: Any = response() | {"output": [CALL, CALL]}
    ended = PURSUITS["openai", "response"].ended(answer, "resp_1")
    assert ended is not None
    assert ended.usage == Usage(10, 5, extras=Extras(searches=2))


def test_what_follows_a_search_is_held_at_no_less_than_it_could_read() -> None:
    keeps = read(tools=[SEARCH], store=True).kept
    assert keeps is not None
    searched, plain = response() | {"output": [CALL]}, response()
    assert [made.tokens for made in keeps(searched, Usage(10, 5))] == [CONTEXT + 5]
    assert [made.tokens for made in keeps(searched, Usage(400_000, 5))] == [400_000 + 5 + 16]
    assert [made.tokens for made in keeps(plain, Usage(10, 5))] == [10 + 5 + 16]


@given(st.integers(0, 20), st.data())
@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-5.4", "gpt-6-luna"])
def test_searches_cost_no_more_than_what_is_held(model: str, calls: int, data: st.DataObject) -> None:
    found = read(model=model, tools=[SEARCH], max_tool_calls=calls, max_output_tokens=900)
    listed = PriceBook().find("openai", model, NOON)
    assert listed is not None
    assert found.at_once is not None
    price = listed.within(found.at_once).using(found.most)
    assert price is not None
    turns = data.draw(st.lists(st.integers(1, CONTEXT), min_size=1, max_size=calls + 2))
    searched = data.draw(st.integers(0, calls))
    extras = Extras(searches=searched) if searched else NO_EXTRAS
    used = Usage(sum(turns), 900, data.draw(st.integers(0, sum(turns))), extras=extras)
    assert price.cost(used) <= price.worst_case(found.input_bound, 900)


def test_no_turn_reaches_a_step_of_the_price_that_is_above_it() -> None:
    listed = PriceBook().find("openai", "gpt-5.4", NOON)
    assert listed is not None
    assert len(listed.tiers) == 2
    # $2.50 a million, whatever all turns come to.
    assert listed.within(CONTEXT).cost(Usage(400_000, 0)) == 1_000_000
    assert listed.within(300_000) == listed
