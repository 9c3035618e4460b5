import json
from typing import Any

import pytest

from broker.core.clock import MINUTE, SECOND
from broker.core.usage import Price, Rates, Tier
from broker.ledger.limits import Figure, Figures
from broker.proxy.refuse import STATUS
from broker.store.grant_tables import Access
from broker.store.ledger_tables import Refusal, Reservation
from broker.store.tables import Credential
from broker.web.calls import _REFUSED, lines, prices, rate_words
from broker.web.lent import Part
from broker.web.usage import Busy, cards, share
from broker.web.words import HOUR
from tests.turned_clock import NOON
from tests.web_grants.lending import PRICE, element

BEFORE_ANY_GRANT = {"invalid_token"}


def _call(**changed: Any) -> Reservation:
    values: dict[str, Any] = {
        "admitted_at": NOON,
        "model": "gpt-4.1-mini",
        "state": "settled",
        "mark": "reported",
        "outcome": "ok",
        "status": 200,
        "cost": 2_710,
        "overrun": 0,
        "input_tokens": 5120,
        "output_tokens": 410,
        "price": json.dumps(PRICE.to_dict()),
    }
    return Reservation(**(values | changed))


def test_every_refusal_of_the_proxy_has_words_of_its_own() -> None:
    assert set(STATUS) - BEFORE_ANY_GRANT <= set(_REFUSED)


@pytest.mark.parametrize(
    ("changed", "result", "cost", "tokens"),
    [
        ({}, "OK", 2_710, "5,120 / 410"),
        ({"overrun": 40}, "OK", 2_750, "5,120 / 410"),
        ({"state": "held", "mark": "", "cost": 0}, "In progress", None, "–"),
        ({"mark": "estimated", "outcome": "client_left"}, "Cancelled by app, cost estimated", 2_710, "–"),
        ({"outcome": "client_left"}, "Cancelled by app", 2_710, "5,120 / 410"),
        ({"mark": "not_run", "outcome": "provider_refused", "status": 529, "cost": 0}, "Provider error 529", 0, "–"),
        ({"mark": "not_run", "outcome": "unreachable", "status": 0, "cost": 0}, "Provider not reached", 0, "–"),
        (
            {"mark": "unresolved", "outcome": "process_died", "status": 0},
            "Interrupted: this server stopped, cost estimated",
            2_710,
            "–",
        ),
        ({"outcome": "invalid_token"}, "Cut: access ended", 2_710, "5,120 / 410"),
        ({"outcome": "something new"}, "Not completed", 2_710, "5,120 / 410"),
    ],
)
def test_how_a_call_ended_is_said_in_words(
    changed: dict[str, object], result: str, cost: int | None, tokens: str
) -> None:
    (line,) = lines([_call(**changed)])
    assert (line.result, line.cost, line.tokens) == (result, cost, tokens)


def test_a_refusal_costs_nothing_and_may_name_no_model() -> None:
    (line,) = lines([Refusal(id="ref", grant_id="g", at=NOON, provider="openai", model="", code="budget_exhausted")])
    assert (line.model, line.cost, line.result) == ("–", 0, "Refused: over spending limit")


def test_prices_are_said_once_for_each_model_and_price() -> None:
    assert prices([_call(), _call(), _call(model="gpt-4.1")]) == [
        "gpt-4.1-mini: $0.40 in, $1.60 out per million tokens (genai-prices, 0.2.3)",
        "gpt-4.1: $0.40 in, $1.60 out per million tokens (genai-prices, 0.2.3)",
    ]


def test_a_price_says_when_there_is_more_to_it() -> None:
    rates = Rates(20_000, 0, 20_000, 20_000, 40_000)
    assert rate_words(Price("own", "1", (Tier(-1, rates),))) == "$0.02 per million tokens"
    long = Price("own", "1", (Tier(-1, rates), Tier(200_000, rates)))
    assert rate_words(long) == "$0.02 per million tokens, more for long requests"


@pytest.mark.parametrize(
    ("used", "limit", "reached", "percent"),
    [
        (0, 100, False, 0),
        (1, 5_000, False, 1),
        (1_840, 5_000, False, 37),
        (4_999, 5_000, False, 99),
        (5_000, 5_000, True, 100),
        (0, 0, True, 100),
    ],
)
def test_a_bar_is_full_only_once_nothing_is_left_and_empty_only_before_anything_is_used(
    used: int, limit: int, *, reached: bool, percent: int
) -> None:
    assert share(used, limit, reached=reached) == percent


def _part(now: int, budget_per: str = "grant", resets_at: int | None = None, **changed: Any) -> Part:
    access = Access(
        **{
            "budget": 5_000_000,
            "budget_per": budget_per,
            "max_requests": 1000,
            "requests_per_minute": 30,
            "created_at": now - HOUR,
            "ends_at": now + HOUR,
            **changed,
        }
    )
    money = Figure(limit=5_000_000, settled=1_840_000, held=0, overrun=10_000, remaining=3_150_000)
    requests = Figure(limit=1000, settled=400, held=12, overrun=0, remaining=588)
    return Part(
        access, element(now), Credential(), Figures(money, requests, resets_at, 0), has_key=True, has_ended=False
    )


def test_the_four_cards_say_figures_first() -> None:
    shown = [
        (card.title, card.figure, card.detail, card.percent) for card in cards(_part(NOON), Busy(18, 1), NOON, "UTC")
    ]
    assert shown == [
        ("Spending", "$1.85 of $5.00", "37% used. $3.15 left.", 37),
        ("Requests", "412 of 1,000", "41% used. 588 left.", 41),
        ("Requests a minute", "18 of 30 at the busiest", "In the last hour. 1 request was refused.", 60),
        ("Time", "1 hour left", "Ends 21 Nov 2026, 14:05 UTC.", 50),
    ]


def test_a_renewing_limit_is_said_on_both_clocks() -> None:
    part = _part(NOON, "day", NOON + 10 * HOUR + 55 * MINUTE)
    assert cards(part, Busy(0, 0), NOON, "Europe/Berlin")[0].detail.endswith("Resets daily at 00:00 UTC (01:00 CET).")
    assert cards(part, Busy(0, 0), NOON, "UTC")[0].detail.endswith("Resets daily at 00:00 UTC.")


def test_an_access_past_its_end_says_when_it_ended() -> None:
    time = cards(_part(NOON, ends_at=NOON - SECOND), Busy(0, 0), NOON, "UTC")[3]
    assert (time.figure, time.detail, time.percent) == ("Ended", "Ended 21 Nov 2026, 13:04 UTC.", 100)


def test_a_call_about_what_is_kept_has_no_model_and_no_price_of_one() -> None:
    row = _call(model="", cost=0, input_tokens=0, output_tokens=0)
    (line,) = lines([row])
    assert (line.model, line.result, line.cost) == ("–", "OK", 0)
    assert prices([row]) == []
