"""Money, time, counts and foreign text as people read them."""

import pytest

from broker.core.clock import DAY, MINUTE, SECOND
from broker.web import foreign, words
from broker.web.words import MoneyKind
from tests.turned_clock import NOON

HOUR = 60 * MINUTE


@pytest.mark.parametrize(
    ("amount", "kind", "said"),
    [
        (0, "total", "$0.00"),
        (4_000, "total", "<$0.01"),
        (10_000, "total", "$0.01"),
        (1_840_001, "total", "$1.85"),
        (1_840_000, "total", "$1.84"),
        (1_240_000_000, "total", "$1,240.00"),
        (0, "left", "$0.00"),
        (1, "left", "<$0.01"),
        (3_169_999, "left", "$3.16"),
        (0, "fine", "$0.00"),
        (2_710, "fine", "$0.0028"),
        (2_700, "fine", "$0.0027"),
        (99, "fine", "<$0.0001"),
        (400_000, "fine", "$0.40"),
        (12_000_000, "fine", "$12.00"),
        (12_345_600, "fine", "$12.3456"),
        (5_000_000, "limit", "$5.00"),
        (2_005_000, "limit", "$2.005"),
        (1_240_000_000, "limit", "$1,240.00"),
    ],
)
def test_money_is_said_without_promising_too_much(amount: int, kind: MoneyKind, said: str) -> None:
    assert words.money(amount, kind) == said


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("5", 5_000_000),
        ("5.5", 5_500_000),
        ("5.50", 5_500_000),
        (" $5 ", 5_000_000),
        ("5,50", 5_500_000),
        ("1,240", 1_240_000_000),
        ("1,240.50", 1_240_500_000),
        ("05", 5_000_000),
        ("0", 0),
    ],
)
def test_amounts_are_read_as_people_type_them(typed: str, amount: int) -> None:
    assert words.parse_money_input(typed) == amount


@pytest.mark.parametrize(
    "typed",
    ["", "abc", "-1", "5.001", "1,0", "1.000,00", "1e3", "１０", "5 000", "12,34,567", "9" * 20, "$", "5.", ".5", "١"],
)
def test_an_amount_that_could_be_meant_in_two_ways_is_not_read(typed: str) -> None:
    assert words.parse_money_input(typed) is None


@pytest.mark.parametrize(("typed", "number"), [("500", 500), ("1,000", 1000), ("0", 0)])
def test_counts_are_read(typed: str, number: int) -> None:
    assert words.parse_count_input(typed) == number


@pytest.mark.parametrize("typed", ["", "1.5", "1,0", "-3", "١", "9" * 13])
def test_other_counts_are_not_read(typed: str) -> None:
    assert words.parse_count_input(typed) is None


def test_an_instant_names_its_zone() -> None:
    assert words.instant(NOON) == "21 Nov 2026, 13:05 UTC"
    assert words.instant(NOON, "Europe/Berlin") == "21 Nov 2026, 14:05 CET"
    assert words.instant(NOON, "America/Sao_Paulo") == "21 Nov 2026, 10:05 UTC-03"
    assert words.instant(NOON, "No/Where", seconds=True) == "21 Nov 2026, 13:05:00 UTC"
    assert words.machine_time(NOON) == "2026-11-21T13:05:00Z"


def test_a_zone_is_named_with_what_it_is_called_now() -> None:
    assert words.zone_label("UTC", NOON) == "UTC"
    assert words.zone_label("Europe/Berlin", NOON) == "Europe/Berlin (CET)"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (5 * DAY + 3 * HOUR + MINUTE, "5 days 3 hours"),
        (DAY + MINUTE, "1 day"),
        (61 * SECOND, "1 minute 1 second"),
        (0, "0 seconds"),
        (-5, "0 seconds"),
    ],
)
def test_a_length_is_its_two_largest_units(length: int, said: str) -> None:
    assert words.duration(length) == said


def test_how_long_ago_is_said_roughly() -> None:
    assert words.ago(NOON, NOON + 30 * SECOND) == "just now"
    assert words.ago(NOON, NOON + 4 * MINUTE + 50 * SECOND) == "4 minutes ago"
    assert words.ago(NOON, NOON + 41 * DAY) == "41 days ago"


def test_lists_and_counts_read_like_sentences() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(["a", "b"], "or") == "a or b"
    assert words.shortlist(["a", "b", "c"]) == "a, b and c"
    assert words.shortlist(list("abcdefg")) == "a, b, c and 4 more"
    assert words.possessive("Acme Notes") == "Acme Notes'"
    assert words.possessive("Draft CLI") == "Draft CLI's"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Plain  words\n", "“Plain words”"),
        ("a\u202eb\u200bc\u0000d", "“abc d”"),
        ("line\nTotal: $0.10\r\n\u2028x", "“line Total: $0.10 x”"),
        ("<b>", "“<b>”"),
        ("שלום", "“\u2068שלום\u2069”"),
        ("x" * 10_000, f"“{'x' * 199}…”"),
        ("\ud800", "“”"),
    ],
)
def test_text_of_an_app_is_quoted_and_tamed(text: str, shown: str) -> None:
    assert foreign.quoted(text) == shown
