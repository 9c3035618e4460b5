"""What a call holds before it runs: a bound that nothing within it can exceed."""

import json
from dataclasses import replace
from typing import Any

import pytest

from broker.core.access import RateLimit
from broker.core.credential import SealedKey
from broker.core.errors import CallRefused
from broker.core.money import MicroUSD
from broker.core.usage import Price, Rates, Tier
from broker.ledger.judge import Plan, plan
from broker.ledger.standing import Allowance, Cap
from tests.books.world import Books, demand

FREE_OUTPUT = Price("test", "1", (Tier(-1, Rates(1_000_000, 0, 1_000_000, 1_000_000, 2_000_000)),))


def allowance(**changes: Any) -> Allowance:
    usual = Allowance(
        access_id="acc",
        provider="openai",
        models=("gpt-4o-mini",),
        actions=frozenset(["chat"]),
        credential=SealedKey("crd", None, "openai", "stored", "", 1, "unchecked", None),
        budget=1_000,
        budget_per="grant",
        max_requests=10,
        rate_limit=RateLimit(),
        max_output_tokens=None,
        ends_at=1,
        caps=(),
    )
    return replace(usual, **changes)


def planned(given: Allowance, money: int | None = None, **changes: Any) -> Plan:
    found = plan(given, demand(**changes), None if money is None else MicroUSD(money))
    assert isinstance(found, Plan)
    return found


def test_the_hold_is_the_price_of_all_input_and_all_output() -> None:
    assert planned(allowance()).hold == 100 + 2 * 50


def test_each_choice_is_held() -> None:
    found = planned(allowance(), choices=3)
    assert (found.output_max, found.output_bound, found.hold) == (50, 150, 100 + 2 * 150)


@pytest.mark.parametrize(
    ("own", "granted", "model", "sent"),
    [
        (50, None, 4096, 50),
        (50, 20, 4096, 20),
        (50, 200, 4096, 50),
        (None, 20, 4096, 20),
        (None, None, 4096, 4096),
        (9000, None, 4096, 4096),
        (9000, 8000, 4096, 4096),
    ],
)
def test_the_output_maximum_is_the_smallest_of_the_apps_the_grants_and_the_models(
    own: int | None, granted: int | None, model: int, sent: int
) -> None:
    found = planned(allowance(max_output_tokens=granted), own_output=own, model_output=model)
    assert (found.output_max, found.output_bound) == (sent, sent)


def test_an_output_that_the_app_left_open_is_cut_to_what_the_money_affords() -> None:
    found = planned(allowance(), 400, own_output=None)
    assert (found.output_max, found.hold) == (150, 400)


def test_each_choice_gets_its_part_of_what_the_money_affords() -> None:
    found = planned(allowance(), 401, own_output=None, choices=4)
    assert (found.output_max, found.output_bound, found.hold) == (37, 148, 396)


def test_an_output_that_the_app_set_is_never_cut_for_money() -> None:
    assert planned(allowance(), 150).hold == 200


def test_sixteen_tokens_are_the_least_that_money_cuts_to() -> None:
    assert planned(allowance(), 132, own_output=None).output_max == 16
    assert planned(allowance(), 131, own_output=None).output_max == 4096


def test_output_without_a_price_is_not_cut() -> None:
    assert planned(allowance(), 100, own_output=None, price=FREE_OUTPUT).output_max == 4096


def test_where_the_maximum_does_not_cover_reasoning_the_models_whole_output_is_held_and_nothing_cut() -> None:
    found = planned(allowance(), 500, own_output=20, covers_reasoning=False)
    assert (found.output_max, found.output_bound) == (20, 4096)
    assert planned(allowance(), 500, own_output=None, covers_reasoning=False).output_bound == 4096


def test_the_hold_takes_the_dearest_price_that_the_input_can_reach() -> None:
    dear = Tier(80, Rates(3_000_000, 9_000_000, 100_000, 4_000_000, 6_000_000))
    tiered = Price("test", "1", (Tier(-1, Rates(1_000_000, 2_000_000, 0, 0, 2_000_000)), dear))
    assert planned(allowance(), price=tiered).hold == 4 * 100 + 9 * 50
    assert planned(allowance(), price=tiered, input_bound=80).hold == 80 + 2 * 50


def test_output_is_cut_to_the_tokens_a_minute_where_the_app_left_it_open() -> None:
    found = planned(allowance(rate_limit=RateLimit(tokens_per_minute=300)), own_output=None, choices=2)
    assert (found.output_max, found.output_bound) == (100, 200)


@pytest.mark.parametrize(
    "changes",
    [{"own_output": 201}, {"own_output": None, "input_bound": 285}, {"own_output": None, "covers_reasoning": False}],
    ids=["the app's own maximum", "input alone", "a model that may think on"],
)
def test_a_call_that_exceeds_the_tokens_a_minute_by_itself_is_not_boundable(changes: dict[str, Any]) -> None:
    found = plan(allowance(rate_limit=RateLimit(tokens_per_minute=300)), demand(**changes), None)
    assert isinstance(found, CallRefused)
    assert found.code == "not_boundable"


def test_of_the_accesss_and_the_tokens_tokens_a_minute_the_smaller_bounds_a_call() -> None:
    cap = Cap("tok", None, "grant", 1, RateLimit(tokens_per_minute=150))
    given = allowance(rate_limit=RateLimit(tokens_per_minute=300), caps=(cap,))
    assert planned(given, own_output=None).output_max == 50


async def test_what_is_held_is_written_with_its_prices_and_its_bounds(books: Books) -> None:
    lent = await books.lend()
    row = await books.row(await books.reserve(lent))
    assert (row.state, row.hold, row.input_bound, row.output_bound, row.rate_tokens) == ("held", 200, 100, 50, 150)
    assert json.loads(row.price) == {
        "source": "test",
        "version": "1",
        "tiers": [
            {
                "start": -1,
                "rates": {
                    "input": 1_000_000,
                    "output": 2_000_000,
                    "cached_input": 500_000,
                    "cache_write": 1_000_000,
                    "cache_write_long": 2_000_000,
                },
            }
        ],
        "writes_long": False,
    }


async def test_the_provider_is_sent_the_output_that_was_held(books: Books) -> None:
    lent = await books.lend(budget=400)
    held = await books.reserve(lent, own_output=None)
    assert (held.output_max, held.hold, held.money_left, held.money_held) == (150, 400, 0, 400)


async def test_a_call_dearer_than_any_money_is_refused_before_the_database_is_asked(books: Books) -> None:
    lent = await books.lend(budget=10**15)
    dear = Price("operator", "1", (Tier(-1, Rates(10**15, 10**15, 10**15, 10**15, 10**15 * 2)),))
    refusal = await books.refused(lent, price=dear, input_bound=2**40)
    assert refusal.code == "budget_exhausted"
