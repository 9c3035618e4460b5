"""broker price."""

import json
import re
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
    told = broker("price", "show", "nobody-knows")
    command = "broker price set PROVIDER nobody-knows --input USD --output USD"
    line = f"No price is known for 'nobody-knows', so calls to it are refused. Set one, a million tokens: {command}"
    assert refused(told, line)


def test_a_price_of_ones_own_is_taken_back_with_all_that_it_was(broker: Broker, data: Path) -> None:
    (packaged,) = broker("price", "show", "gpt-4o-mini", "--json").json()
    for dollars in ("1", "2"):
        broker("price", "set", "openai", "gpt-4o-mini", "--input", dollars, "--output", "3")
    broker("price", "set", "openai", "gpt-4o", "--input", "7", "--output", "8")
    told = broker("price", "remove", "openai", "gpt-4o-mini")
    holds = f"{packaged['input']} in, {packaged['output']} out, in dollars a million tokens"
    assert told.out == (
        "openai gpt-4o-mini: your price is removed.\n"
        f"From the next call on: {holds}, from {packaged['source']} {packaged['version']}.\n"
    )
    assert broker("price", "show", "gpt-4o-mini", "--json").json() == [packaged]
    assert rows(data, "SELECT model FROM own_price") == [("gpt-4o",)]
    audited = rows(data, "SELECT object_id, actor, details FROM audit_entry WHERE event = 'price.removed'")
    ((model, actor, details),) = audited
    assert (model, actor) == ("gpt-4o-mini", "operator")
    assert json.loads(details) == {"provider": "openai", "input": 2_000_000, "output": 3_000_000}


def test_running_servers_learn_that_a_price_is_taken_back(broker: Broker, data: Path) -> None:
    broker("price", "set", "openai", "mine", "--input", "1", "--output", "1")
    before = rows(data, "SELECT count FROM change")
    broker("price", "remove", "openai", "mine")
    assert rows(data, "SELECT count FROM change") > before


def test_without_its_own_price_a_model_may_have_that_of_all_or_none(broker: Broker) -> None:
    broker("provider", "add", "ollama")
    for model, dollars in (("*", "0.10"), ("llama3.2", "0.50")):
        broker("price", "set", "ollama", model, "--input", dollars, "--output", dollars)
    told = broker("price", "remove", "ollama", "llama3.2").out
    assert "From the next call on: 0.10 in, 0.10 out, in dollars a million tokens, from another price of your" in told
    told = broker("price", "remove", "ollama", "*").out
    assert told == (
        "ollama *: your price is removed.\nFrom the next call on: models that have no other price are refused.\n"
    )
    broker("price", "set", "ollama", "llama3.2", "--input", "1", "--output", "1")
    assert "refused, as no other price is known." in broker("price", "remove", "ollama", "llama3.2").out
    assert broker("price", "show", "llama3.2").status == 2


def test_only_what_was_set_is_taken_back(broker: Broker, data: Path) -> None:
    assert refused(
        broker("price", "remove", "openai", "gpt-4o-mini"), "There is no price of your own for openai gpt-4o-mini."
    )
    assert broker("price", "remove", "other", "mine").err.startswith("No provider is called 'other'.")
    assert rows(data, "SELECT * FROM audit_entry WHERE event = 'price.removed'") == []


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
    assert refused(told, "No provider is called 'other'. Known: anthropic, cohere, google, mistral, openai.")


def test_what_is_cached_may_have_a_price_of_its_own(broker: Broker) -> None:
    broker("price", "set", "openai", "mine", "--input", "2", "--output", "8", "--cached-input", "0.5")
    (row,) = broker("price", "show", "mine", "--json").json()
    assert (row["cached_input"], row["cache_write"], row["cache_write_1h"]) == ("0.50", "2.00", "4.00")
    kept = ("--cache-write", "2.5", "--cache-write-1h", "3")
    broker("price", "set", "openai", "mine", "--input", "2", "--output", "8", *kept)
    (row,) = broker("price", "show", "mine", "--json").json()
    assert (row["cached_input"], row["cache_write"], row["cache_write_1h"]) == ("2.50", "2.50", "3.00")
    assert refused(
        broker("price", "set", "openai", "mine", "--input", "2", "--output", "8", "--cached-input", "x"),
        "'x' is not an amount of dollars a million tokens, such as 0.15.",
    )


def test_all_prices_of_a_model_are_shown_with_the_size_and_the_day_from_which_they_hold(broker: Broker) -> None:
    small, large = broker("price", "show", "gemini-2.5-pro", "--json").json()
    assert (small["above"], large["above"], small["provider"]) == ("0", "200000", "google")
    assert float(large["input"]) > float(small["input"])
    (haiku,) = [
        row for row in broker("price", "show", "claude-haiku-4-5", "--json").json() if row["provider"] == "anthropic"
    ]
    assert (haiku["cache_write"], haiku["cache_write_1h"], haiku["since"]) == ("1.25", "2.00", "")
    broker("price", "set", "openai", "mine", "--input", "2", "--output", "8")
    (mine,) = broker("price", "show", "mine", "--json").json()
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", mine["since"])


CSV = "provider,model,input,output,cached_input\nopenai,mine,1.5,3,\ngoogle,yours,0.1,0.2,0.05\n"
JSON = """[{"provider": "openai", "model": "mine", "input": 1.5, "output": "3"},
{"provider": "google", "model": "yours", "input": 0.1, "output": 0.2, "cached_input": 0.05, "cache_write": null}]"""


@pytest.mark.parametrize(
    "text", [CSV, JSON, CSV.replace("\n", "\r\n"), "\ufeff" + CSV], ids=["csv", "json", "crlf", "bom"]
)
def test_a_file_of_prices_is_loaded(broker: Broker, data: Path, text: str) -> None:
    file = data.parent / "prices"
    file.write_bytes(text.encode())
    assert broker("price", "load", str(file)).out == "2 prices are set.\n"
    stored = rows(data, "SELECT model, input, output, cached_input FROM own_price ORDER BY model")
    assert stored == [("mine", 1_500_000, 3_000_000, None), ("yours", 100_000, 200_000, 50_000)]
    assert rows(data, "SELECT count(*) FROM audit_entry WHERE event = 'price.set'") == [(2,)]


def test_prices_may_come_on_standard_input(broker: Broker, data: Path) -> None:
    assert broker("price", "load", "-", said=CSV.splitlines()[0] + "\nopenai,one,1,1\n").out == "1 price is set.\n"
    assert rows(data, "SELECT model FROM own_price") == [("one",)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it has no prices"),
        ("provider,model,input,output\n", "it has no prices"),
        (CSV + "openai,third,1,\n", "line 4 has no output"),
        (CSV + "openai,third,1,free\n", "line 4: 'free' is not an amount of dollars a million tokens, such as 0.15"),
        (CSV + "openai,third,1,-1\n", "line 4: '-1' is not an amount of dollars a million tokens, such as 0.15"),
        (CSV + "openai,a b,1,1\n", "line 4: 'a b' is no model id"),
        (CSV + "openai,third,1,1,1,1\n", "line 4 has too many columns"),
        (CSV + "openai,mine,1,1\n", "line 4 has a price of openai mine again"),
        (CSV.replace("cached_input", "markup"), "line 2 has a column that is not known: 'markup'"),
        ("[1]", "entry 1 is no object"),
        ("[", "it is not a JSON array"),
        ('[{"provider": "openai", "model": ["m"], "input": 1, "output": 1}]', "entry 1 has no model"),
        ('[{"provider": "openai", "model": "m", "input": NaN, "output": 1}]', "entry 1 has no input"),
        (b"\xff\xfe", "it is not UTF-8"),
    ],
)  # fmt: skip
def test_a_file_with_a_fault_sets_nothing_and_says_where_it_is(
    broker: Broker, data: Path, text: str | bytes, fault: str
) -> None:
    assert refused(broker("price", "load", "-", said=text), f"Nothing was set: {fault}.")
    assert rows(data, "SELECT * FROM own_price") == []


def test_a_file_with_a_provider_that_is_not_known_sets_nothing(broker: Broker, data: Path) -> None:
    told = broker("price", "load", "-", said=CSV.replace("google", "nobody"))
    assert told.status == 2
    assert told.err.startswith("No provider is called 'nobody'.")
    assert rows(data, "SELECT * FROM own_price") == []
    assert refused(
        broker("price", "load", "not-there"), "The file 'not-there' cannot be read (No such file or directory)."
    )


def test_all_models_of_a_server_of_ones_own_get_a_price_at_once(broker: Broker) -> None:
    broker("provider", "add", "ollama")
    told = broker("price", "set", "ollama", "*", "--input", "0", "--output", "0")
    assert told.status == 0
    (every,) = [row for row in broker("price", "list", "--json").json() if row["provider"] == "ollama"]
    assert (every["model"], every["input"], every["output"], every["source"]) == ("*", "0.00", "0.00", "operator")
    (row,) = broker("price", "show", "llama3.2:1b", "--json").json()
    assert (row["provider"], row["input"], row["output"], row["source"]) == ("ollama", "0.00", "0.00", "operator")


def test_a_percentage_is_added_and_shown_beside_the_price(broker: Broker, data: Path) -> None:
    told = broker("price", "markup", "openai", "12.5")
    assert (told.status, told.out) == (0, "openai *: 12.5 % is added to each price.\n")
    broker("price", "markup", "openai", "gpt-4o*", "20")
    shown = {model: broker("price", "show", model, "--json").json()[0] for model in ("gpt-4.1", "gpt-4o-mini")}
    assert [row["markup"] for row in shown.values()] == ["12.5%", "20%"]
    broker("price", "markup", "openai", "gpt-4o*", "0")
    assert broker("price", "show", "gpt-4o-mini", "--json").json()[0]["markup"] == ""
    events = rows(data, "SELECT event, object_id FROM audit_entry WHERE event LIKE 'price.%'")
    assert events == [("price.marked_up", "*"), ("price.marked_up", "gpt-4o*"), ("price.marked_up", "gpt-4o*")]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["openai", "x"], "'x' is not a percentage from 0 to 1000 with at most two places, such as 12.5."),
        (["openai", "g*t", "5"], "'g*t' is neither a model id nor the beginning of ids with an asterisk."),
        (
            ["openai", "a", "b", "5"],
            "Say one model, or the beginning of ids with an asterisk, and then the percentage.",
        ),
        (["other", "5"], "No provider is called 'other'. Known: anthropic, cohere, google, mistral, openai."),
    ],
)
def test_what_is_wrong_with_a_markup_is_said(broker: Broker, words: list[str], line: str) -> None:
    assert refused(broker("price", "markup", *words), line)


def test_searches_have_a_price_a_thousand(broker: Broker) -> None:
    assert broker("price", "show", "rerank-v3.5", "--json").json()[0]["extras"] == "searches=2000.00"
    broker("price", "set", "cohere", "rerank-v3.5", "--input", "0", "--output", "0", "--searches", "1.50")
    (row,) = broker("price", "show", "rerank-v3.5", "--json").json()
    assert (row["extras"], row["source"]) == ("searches=1500.00", "operator")


def test_every_price_of_the_packaged_book_says_where_it_is_from_and_of_which_day(broker: Broker) -> None:
    (row,) = broker("price", "show", "command-r7b-12-2024", "--json").json()
    assert (row["source"], row["version"], row["since"]) == ("broker", "2026-11-30", "2026-11-30")
