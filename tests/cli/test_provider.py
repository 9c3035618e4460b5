"""broker provider."""

from pathlib import Path

import pytest

from broker.prices.book import PriceBook
from broker.providers.address import read_base_url
from broker.providers.known import KINDS
from broker.providers.registry import label
from tests.cli.conftest import Broker, refused, rows


def _listed(broker: Broker) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in broker("provider", "list", "--json").json()}


def test_five_providers_are_built_in(broker: Broker) -> None:
    assert {name: row["base_url"] for name, row in _listed(broker).items()} == {
        "openai": "https://api.openai.com",
        "anthropic": "https://api.anthropic.com",
        "google": "https://generativelanguage.googleapis.com",
        "mistral": "https://api.mistral.ai",
        "cohere": "https://api.cohere.com",
    }


def test_one_is_added_on_loopback_and_a_trailing_v1_means_the_same(broker: Broker, data: Path) -> None:
    added = broker("provider", "add", "local", "--dialect", "openai", "--base-url", "http://127.0.0.1:9/api/v1/")
    assert (added.status, added.out) == (0, "Added local.\n")
    assert _listed(broker)["local"] == {
        "name": "local",
        "dialect": "openai",
        "base_url": "http://127.0.0.1:9/api",
        "like": "",
        "allow_fields": "",
        "limit": "",
    }
    assert rows(data, "SELECT event, object_id FROM audit_entry") == [("provider.added", "local")]


def test_one_that_is_there_is_not_added_again(broker: Broker) -> None:
    again = broker("provider", "add", "openai", "--dialect", "openai", "--base-url", "http://127.0.0.1:9")
    assert refused(again, "There is a provider 'openai' already. Change it with: broker provider set openai …")


def test_fields_that_are_harmless_are_added_to_those_already_allowed(broker: Broker) -> None:
    broker("provider", "add", "local", "--dialect", "openai", "--base-url", "http://127.0.0.1:9")
    broker("provider", "set", "local", "--allow-field", "top_k", "--allow-field", "min_p")
    broker("provider", "set", "local", "--allow-field", "mirostat")
    assert _listed(broker)["local"]["allow_fields"] == "min_p mirostat top_k"


def test_a_built_in_one_can_be_pointed_elsewhere(broker: Broker) -> None:
    assert broker("provider", "set", "openai", "--base-url", "https://eu.api.openai.com/v1").status == 0
    assert _listed(broker)["openai"]["base_url"] == "https://eu.api.openai.com"


def test_a_change_is_seen_by_running_servers(broker: Broker, data: Path) -> None:
    before = rows(data, "SELECT count FROM change")
    broker("provider", "set", "openai", "--base-url", "https://eu.api.openai.com")
    assert rows(data, "SELECT count FROM change") == [(before[0][0] + 1,)]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1",
        "127.0.0.1:9",
        "http://",
        "http://user:pw@127.0.0.1",
        "http://127.0.0.1/?a=b",
        "http://127.0.0.1/#a",
        "http://good.test\\@evil.test",
        "http://127.0.0.1/../admin",
        "http://127.0.0.1//x",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://127.0.0.1:",
        "http://bücher.test",
        "http://127.0.0.1/ x",
        "http://127.0.0.1/%2e%2e",
        "http://127.0.0.1\tevil.test",
    ],
)
def test_an_address_that_can_be_read_in_two_ways_is_refused(broker: Broker, url: str) -> None:
    told = broker("provider", "add", "local", "--dialect", "openai", "--base-url", url)
    assert refused(told, f"{url!r} is not a plain http:// or https:// address without user, query and fragment.")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["add", "Local", "--dialect", "openai", "--base-url", "http://127.0.0.1"],
            "A provider's name has small letters, digits, - and _, at most 64.",
        ),
        (
            ["add", "local", "--dialect", "klingon", "--base-url", "http://127.0.0.1"],
            "The dialect must be one of: openai, anthropic, google, mistral, cohere, azure.",
        ),
        (
            ["set", "openai"],
            "Say what to change: --dialect, --base-url, --like, --allow-field, --budget, --requests or --per.",
        ),
        (
            ["set", "other", "--dialect", "openai"],
            "No provider is called 'other'. Known: anthropic, cohere, google, mistral, openai.",
        ),
        (["set", "openai", "--allow-field", "a b"], "A body field is a plain name, such as top_k."),
    ],
    ids=["name", "dialect", "nothing", "unknown", "field"],
)
def test_what_is_wrong_is_said(broker: Broker, words: list[str], line: str) -> None:
    assert refused(broker("provider", *words), line)


def test_a_known_one_is_added_by_its_name_alone(broker: Broker) -> None:
    assert broker("provider", "add", "groq").status == 0
    row = _listed(broker)["groq"]
    assert (row["dialect"], row["base_url"]) == ("openai", "https://api.groq.com/openai")
    elsewhere = broker("provider", "add", "deepseek", "--base-url", "http://127.0.0.1:9")
    assert (elsewhere.status, _listed(broker)["deepseek"]["base_url"]) == (0, "http://127.0.0.1:9")


@pytest.mark.parametrize("words", [(), ("--dialect", "openai"), ("--base-url", "http://127.0.0.1:9")])
def test_one_that_is_not_known_needs_dialect_and_address(broker: Broker, words: tuple[str, ...]) -> None:
    told = broker("provider", "add", "local", *words)
    assert (told.status, told.err.partition(".")[0]) == (2, "Say --dialect (or --like) and --base-url")


def test_every_known_one_has_a_label_and_an_address_that_is_taken() -> None:
    for name, kind in KINDS.items():
        assert label(name) == kind.label
        assert not kind.base_url or read_base_url(kind.base_url) == kind.base_url


def test_every_known_one_that_asks_money_has_prices() -> None:
    ours = {"llama-cpp", "ollama", "vllm", "openai-compatible"}
    assert {name for name in KINDS if not PriceBook().models(name)} == ours


def test_one_may_be_like_a_known_one_under_another_name(broker: Broker) -> None:
    assert broker("provider", "add", "gpu", "--like", "vllm", "--base-url", "http://127.0.0.1:9").status == 0
    row = _listed(broker)["gpu"]
    assert (row["dialect"], row["base_url"], row["like"]) == ("openai", "http://127.0.0.1:9", "vllm")
    assert broker("provider", "set", "gpu", "--like", "ollama").status == 0
    assert _listed(broker)["gpu"]["like"] == "ollama"
    told = broker("provider", "set", "gpu", "--like", "klingon")
    assert refused(told, f"'klingon' is no server that is known here. Known: {', '.join(KINDS)}.")


def test_azure_has_no_address_that_all_share(broker: Broker) -> None:
    assert broker("provider", "add", "azure").status == 2
    told = broker("provider", "add", "azure", "--base-url", "https://acme.openai.azure.com/openai/v1/")
    assert (told.status, _listed(broker)["azure"]["dialect"]) == (0, "azure")
    assert _listed(broker)["azure"]["base_url"] == "https://acme.openai.azure.com/openai"
