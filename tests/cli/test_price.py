"""broker price."""

from pathlib import Path

import pytest

from tests.cli.conftest import Broker, refused, rows


def test_the_packaged_book_is_listed_with_its_provenance(broker: Broker) -> None:
    listed = broker("price", "list", "--json").json()
    assert len(listed) > 50
    (mini,) = [row for row in listed if (row["provider"], row["model"]) == ("openai", "gpt-4o-mini")]
    assert float(mini["input"]) > 0
    assert mini["source"]
    assert mini["version"]


def test_a_price_of_ones_own_goes_before_it(broker: Broker, data: Path) -> None:
    told = broker("price", "set", "openai", "gpt-4o-mini", "--input", "1.5", "--output", "3")
    assert told.out == "openai gpt-4o-mini: 1.5 in, 3 out, in dollars a million tokens.\n"
    (row,) = broker("price", "show", "gpt-4o-mini", "--json").json()
    assert (row["input"], row["output"], row["source"]) == ("1.50", "3.00", "operator")
    assert rows(data, "SELECT input, output FROM own_price") == [(1_500_000, 3_000_000)]


def test_the_newest_of_ones_own_counts(broker: Broker) -> None:
    for dollars in ("1", "2"):
        broker("price", "set", "openai", "mine", "--input", dollars, "--output", dollars)
    assert [row["input"] for row in broker("price", "show", "mine", "--json").json()] == ["2.00"]


def test_a_model_without_a_price_says_what_that_means(broker: Broker) -> None:
    assert refused(
        broker("price", "show", "nobody-knows"), "No price is known for 'nobody-knows', so calls to it are refused."
    )


@pytest.mark.parametrize("amount", ["-1", "1,5", "free", "1e3", ""])
def test_what_is_no_amount_is_refused(broker: Broker, amount: str) -> None:
    told = broker("price", "set", "openai", "mine", "--input", amount, "--output", "1")
    assert refused(told, f"{amount!r} is not an amount of dollars a million tokens, such as 0.15.")


@pytest.mark.parametrize("model", ["", "a b", "gpt-*", "é"])
def test_what_is_no_model_is_refused(broker: Broker, model: str) -> None:
    assert refused(
        broker("price", "set", "openai", model, "--input", "1", "--output", "1"), f"{model!r} is no model id."
    )


def test_prices_belong_to_providers_that_are_known(broker: Broker) -> None:
    told = broker("price", "set", "other", "mine", "--input", "1", "--output", "1")
    assert refused(told, "No provider is called 'other'. Known: anthropic, google, openai.")
