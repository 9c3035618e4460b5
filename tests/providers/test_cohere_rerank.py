"""Ranking at Cohere: how many searches a request can be billed as at most, and what its answer says."""

import unicodedata
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.core.extras import Extras
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.prices.book import PriceBook
from broker.providers.cohere import Cohere, read_searches
from broker.providers.cohere_rerank import AROUND, FORMS, most_parts, most_tokens
from broker.providers.dialect import Reading
from broker.providers.registry import Provider
from tests.patience import promised
from tests.turned_clock import NOON

PATH = "/v2/rerank"
COHERE = Provider("cohere", "cohere", "https://api.cohere.com")


def read(**changes: Any) -> Reading:
    body = {"model": "rerank-v3.5", "query": "Which?", "documents": ["One.", "Two."]} | changes
    endpoint = Cohere().endpoint("POST", PATH)
    assert endpoint is not None
    return endpoint.read(body, len(dumps(body)), COHERE, PATH)


def searches(**changes: Any) -> int:
    return read(**changes).most.searches


def test_a_query_with_a_hundred_short_documents_is_a_search() -> None:
    assert searches() == searches(documents=["x"] * 100) == 1
    assert searches(documents=["x"] * 101) == 2
    assert searches(documents=["x"] * 1_000) == 10


def test_long_documents_count_in_parts() -> None:
    # 6 bytes of the query and 8 around it leave 486 of 500; 4,852 bytes and 8 around are ten parts of that.
    assert searches(documents=["x" * 4_852] * 10) == 1
    assert searches(documents=["x" * 4_853] * 10) == 2
    assert searches(documents=["x" * 4_853] * 10, max_tokens_per_doc=400) == 1


def test_the_bound_is_the_price_of_that_many() -> None:
    found = read(documents=["x"] * 250)
    price = PriceBook().find("cohere", found.model, NOON, found.priced_by)
    assert price is not None
    priced = price.using(found.most)
    assert priced is not None
    assert priced.worst_case(found.input_bound, 0) == 6_000
    assert (found.action, found.own_output, found.unbounded) == ("rerank", 0, "")
    assert loads(found.render(9))["documents"] == ["x"] * 250  # type: ignore[index, call-overload]


@given(st.integers(1, 5_000), st.integers(1, 50_000))
def test_however_the_query_counts_with_each_part_there_are_no_more(query: int, document: int) -> None:
    parts = most_parts(query, document)
    assert parts * 500 >= document + query
    room = 500 - query
    assert room <= 0 or parts * room >= document


def test_of_many_texts_each_byte_counts_at_its_most_though_each_is_short() -> None:
    few, many = ["\ufdfa" * 50] * 100, ["\ufdfa" * 50] * 500
    assert searches(documents=few) <= 5
    assert searches(documents=many) >= 5 * searches(documents=few)
    # What is put into each form takes a second for every hundred thousand characters.
    began = monotonic()
    assert searches(documents=["\ufdfa" * 1_000] * 9_000) > 5_000
    assert monotonic() - began < promised(5, beside_others=20)


@given(st.text(max_size=40))
def test_no_form_of_a_text_has_more_bytes_than_are_counted(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    for form in FORMS:
        assert len(unicodedata.normalize(form, text).encode()) <= most_tokens(text) - AROUND
        assert len(unicodedata.normalize(form, text.casefold()).encode()) <= most_tokens(text) - AROUND


@pytest.mark.parametrize(
    "changes",
    [
        {"query": ""}, {"query": 5}, {"documents": []}, {"documents": "x"}, {"documents": [{"text": "x"}]},
        {"documents": ["x"] * 10_001}, {"max_tokens_per_doc": 0}, {"model": None},
    ],
    ids=lambda changes: str(changes)[:30],
)  # fmt: skip
def test_what_cannot_be_ranked_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        read(**changes)
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize("field", ["relevant_spans", "return_documents", "surprise"])
def test_what_is_not_known_is_named(field: str) -> None:
    assert read(**{field: 1}).unbounded.endswith(f": {field}.")
    assert read(priority=1).unbounded.endswith(": priority.")
    assert read(priority=0).unbounded == ""


def test_searches_are_what_is_billed() -> None:
    assert read_searches({"billed_units": {"search_units": 3}}) == (Usage(0, 0, extras=Extras(searches=3)), False)
    assert read_searches({"billed_units": {"search_units": 3.0, "images": 0}})[1] is False
    assert read_searches(None) == read_searches({}) == (None, False)


@pytest.mark.parametrize(
    "billed",
    [
        {}, {"search_units": 0}, {"search_units": -1}, {"search_units": 1.5}, {"search_units": "1"}, {"search_units": 2**31},
        {"search_units": 1, "input_tokens": 5}, {"input_tokens": 5},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_true_takes_the_bound(billed: dict[str, Any]) -> None:
    assert read_searches({"billed_units": billed}) == (None, True)
