"""How the packaged prices are read: integers, tiers, dates and hours, always to the dearer side."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.types import Tier as Step

from broker.core.clock import SECOND
from broker.core.usage import Rates, Tier
from broker.prices import packaged, snapshot

MONEY = Decimal


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * SECOND)


def model(prices: Any) -> ModelInfo:
    return ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=prices)


def price(read: str, written: str, **more: Any) -> ModelPrice:
    return ModelPrice(input_mtok=MONEY(read), output_mtok=MONEY(written), **more)


def dollars(info: ModelInfo, now: str) -> set[int]:
    """What input may cost from then on, after a way through JSON."""
    spells = [packaged.Spell.read(*row) for row in json.loads(json.dumps(snapshot.spells(info)))]
    return {tiers[0].rates.input // 1_000_000 for tiers in packaged.active(spells, at(now))}


def test_a_price_is_in_whole_micro_dollars_a_million_tokens_rounded_up() -> None:
    assert snapshot.tiers(price("0.15", "0.0000001")) == (Tier(-1, Rates(150_000, 1, 150_000, 150_000, 300_000)),)
    assert snapshot._amount(MONEY("1e-12"), -1) == 1
    assert snapshot._amount(MONEY(0), -1) == 0


def test_a_class_without_a_price_of_its_own_takes_the_dearest_of_its_side() -> None:
    tiers = snapshot.tiers(price("1", "9", cache_write_mtok=MONEY(2)))
    assert tiers == (Tier(-1, Rates(1_000_000, 9_000_000, 2_000_000, 2_000_000, 2_000_000)),)


def test_tiers_of_any_class_start_a_tier_of_the_whole_price() -> None:
    read = TieredPrices(base=MONEY(1), tiers=[Step(start=200, price=MONEY(2))])
    written = TieredPrices(base=MONEY(10), tiers=[Step(start=100, price=MONEY(20))])
    tiers = snapshot.tiers(ModelPrice(input_mtok=read, output_mtok=written, cache_read_mtok=MONEY(1)))
    assert tiers == (
        Tier(-1, Rates(1_000_000, 10_000_000, 1_000_000, 1_000_000, 2_000_000)),
        Tier(100, Rates(1_000_000, 20_000_000, 1_000_000, 1_000_000, 2_000_000)),
        Tier(200, Rates(2_000_000, 20_000_000, 1_000_000, 2_000_000, 4_000_000)),
    )


@pytest.mark.parametrize(
    ("now", "active"),
    [
        ("2026-05-31T22:59:59", {1}),
        ("2026-05-31T23:30:00", {1, 9}),
        ("2026-06-01T00:00:00", {9}),
    ],
)
def test_a_price_that_begins_while_a_call_may_run_is_looked_at(now: str, active: set[int]) -> None:
    later = ConditionalPrice(constraint=StartDateConstraint(start_date=date(2026, 6, 1)), prices=price("9", "9"))
    info = model([ConditionalPrice(constraint=None, prices=price("1", "1")), later])
    assert dollars(info, now) == active


def test_a_dear_hour_that_begins_while_a_call_may_run_is_looked_at() -> None:
    hours = TimeOfDateConstraint(start_time=time(16, 30, tzinfo=UTC), end_time=time(17, 0, tzinfo=UTC))
    info = model(
        [
            ConditionalPrice(constraint=None, prices=price("1", "1")),
            ConditionalPrice(constraint=hours, prices=price("9", "9")),
        ]
    )
    assert dollars(info, "2026-06-01T15:29:00") == {1}
    assert dollars(info, "2026-06-01T15:31:00") == {1, 9}
    assert dollars(info, "2026-06-01T17:00:00") == {1}


def batches(*variants: tuple[date | None, str], usual: Any = None) -> list[packaged.Spell]:
    """Of a model whose batches have cost so much for input from these days on, the newest first as in the list."""
    told = [
        PriceVariant(
            when={"processing": "batch"},
            prices=ModelPrice(input_mtok=MONEY(read), output_mtok=MONEY(read)),
            constraint=None if since is None else StartDateConstraint(start_date=since),
        )
        for since, read in variants
    ]
    info = ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=usual or price("9", "9"), price_variants=told)
    return [packaged.Spell.read(*row) for row in json.loads(json.dumps(snapshot.batch_spells(info)))]


def batch_dollars(spells: list[packaged.Spell], now: str) -> set[int]:
    found = packaged.active(spells, at(now), packaged.LONGEST_WORK)
    return {tiers[0].rates.input // 1_000_000 for tiers in found}


@pytest.mark.parametrize(
    ("now", "active"),
    [
        # A batch may take a day and its call an hour: until the next midnight but one at most.
        ("2026-05-30T22:59:00", {1}),
        ("2026-05-30T23:01:00", {1, 5}),
        ("2026-05-31T12:00:00", {1, 5}),
        ("2026-06-01T00:00:00", {5}),
        ("2027-01-01T00:00:00", {5}),
    ],
)
def test_a_batch_is_looked_at_for_a_day_ahead_and_not_at_what_is_over(now: str, active: set[int]) -> None:
    assert batch_dollars(batches((date(2026, 6, 1), "5"), (date(2026, 1, 1), "1")), now) == active


def test_the_oldest_price_of_batches_held_before_it_was_seen() -> None:
    assert batch_dollars(batches((date(2026, 6, 1), "1")), "2026-01-01T00:00:00") == {1}


def test_what_a_batch_has_no_price_of_its_own_for_has_the_usual_one_of_its_day() -> None:
    usual = [
        ConditionalPrice(constraint=None, prices=price("9", "9", cache_read_mtok=MONEY(8))),
        ConditionalPrice(
            constraint=StartDateConstraint(start_date=date(2026, 6, 1)),
            prices=price("9", "9", cache_read_mtok=MONEY(2)),
        ),
    ]
    spells = batches((date(2026, 1, 1), "4"), usual=usual)
    cached = [
        packaged.active(spells, at(day))[0][0].rates.cached_input
        for day in ("2026-02-01T00:00:00", "2026-07-01T00:00:00")
    ]
    assert cached == [8_000_000, 2_000_000]


def test_a_batch_may_meet_any_hour() -> None:
    hours = TimeOfDateConstraint(start_time=time(16, 30, tzinfo=UTC), end_time=time(17, 0, tzinfo=UTC))
    usual = [
        ConditionalPrice(constraint=None, prices=price("1", "1", cache_read_mtok=MONEY(1))),
        ConditionalPrice(constraint=hours, prices=price("9", "9", cache_read_mtok=MONEY(7))),
    ]
    found = packaged.active(batches((None, "1"), usual=usual), at("2026-06-01T18:00:00"), packaged.LONGEST_WORK)
    assert packaged.dearest_tiers(found)[0].rates.cached_input == 7_000_000
    assert batches((date(2026, 6, 1), "5"), (None, "1"), usual=usual) == []


def test_of_alternatives_each_rate_is_the_dearest_at_each_size() -> None:
    flat = (Tier(-1, Rates(5, 1, 5, 5, 10)),)
    stepped = (Tier(-1, Rates(1, 2, 1, 1, 2)), Tier(100, Rates(9, 2, 9, 9, 18)))
    assert packaged.dearest_tiers([flat, stepped]) == (
        Tier(-1, Rates(5, 2, 5, 5, 10)),
        Tier(100, Rates(9, 2, 9, 9, 18)),
    )


@pytest.mark.parametrize(
    ("info", "by_token"),
    [
        (model(price("1", "1")), True),
        (model(price("1", "1", web_searches_kcount=MONEY(10))), True),
        (model(price("1", "1", input_audio_mtok=MONEY(10))), True),
        (model(price("1", "1", requests_kcount=MONEY(5))), False),
        (model(price("1", "1", output_audio_mtok=MONEY(10))), True),
        (model(price("1", "1", output_video_mtok=MONEY(10))), False),
        (model(ModelPrice(input_mtok=MONEY(1))), False),
        (
            model(
                [
                    ConditionalPrice(constraint=None, prices=price("1", "1")),
                    ConditionalPrice(constraint=None, prices=ModelPrice()),
                ]
            ),
            False,
        ),
    ],
    ids=["text", "a tool", "audio in", "a request", "audio out", "video out", "no output", "no price once"],
)
def test_only_models_whose_text_alone_says_the_cost_are_sold(info: ModelInfo, by_token: bool) -> None:
    assert snapshot.is_by_token(info) is by_token
