"""Days, weeks, months and tiers' months as they go by, with calls in parallel on each of them: one reset a period, and what was stays as it was."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from broker.core.clock import DAY, SECOND
from broker.core.errors import CallRefused
from broker.ledger.books import OwnBooks
from broker.ledger.reserve import Reservation, Reserver
from broker.ledger.settle import Close
from broker.store.tables import User
from tests.books.world import ESTIMATED, Books, Lent, demand
from tests.stores import Store

HOLD = 200
WIDE = {"budget": 10**9}
DAYS = 400


def instant(day: date, seconds: int = 0) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + seconds) * SECOND


@pytest.fixture
async def brokers(books: Books, store: Store) -> AsyncIterator[list[Reserver]]:
    """Three on one database: two beside each other, and one with its own way there."""
    db = store.open()
    made = [Reserver(own, books.clock, books.lease) for own in (books.own, books.others, OwnBooks(db, books.clock))]
    yield made
    await db.close()


async def burst(brokers: list[Reserver], lent: Lent, many: int) -> list[Reservation]:
    """So many at once, over all brokers; gives those that were admitted."""

    async def one(n: int) -> Reservation | CallRefused:
        try:
            return await brokers[n % len(brokers)](lent.jti, demand())
        except CallRefused as refusal:
            return refusal

    said = await asyncio.gather(*(one(n) for n in range(many)))
    assert {each.code for each in said if isinstance(each, CallRefused)} <= {"budget_exhausted", "requests_exhausted"}
    return [each for each in said if isinstance(each, Reservation)]


async def settle(books: Books, held: list[Reservation]) -> None:
    await asyncio.gather(*(books.own.submit(Close(each.id, ESTIMATED)) for each in held))


RESETS = {
    (2027, 29): ["2027-01-30", "2027-02-28"],
    (2027, 30): ["2027-01-30", "2027-02-28"],
    (2027, 31): ["2027-01-30", "2027-01-31", "2027-02-28"],
    (2028, 29): ["2028-01-30", "2028-02-29"],
    (2028, 30): ["2028-01-30", "2028-02-29"],
    (2028, 31): ["2028-01-30", "2028-01-31", "2028-02-29"],
}
"""The first day of the test, and each on which an allocation begins again until 2 March."""


async def persons(books: Books, days: list[int]) -> dict[int, Lent]:
    """One in the tier for each anchor day, with an app on the operator's key."""
    key, found = await books.lent_key(), {}
    for day in days:
        books.user_id = f"usr_{day}"
        usual: dict[str, Any] = {"email": f"{day}@example.com", "role": "user", "password_hash": "-"}
        await books.add(User(id=books.user_id, pseudonym=f"p{day}", created_at=books.clock(), **usual))
        await books.tier("plus", day)
        found[day] = await books.lend(credential_id=key, **WIDE)
    return found


@pytest.mark.parametrize("year", [2027, 2028])
async def test_from_30_january_to_2_march_an_allocation_begins_again_on_its_day(
    books: Books, brokers: list[Reserver], year: int
) -> None:
    today, last = date(year, 1, 30), date(year, 3, 2)
    books.clock.now = instant(today)
    await books.limit("tier", "plus", "tier", budget=3 * HOLD)
    lent, began = await persons(books, [29, 30, 31]), {29: list[str](), 30: list[str](), 31: list[str]()}
    while today <= last:
        for time in (0, 86_399):
            books.clock.now = instant(today, time)
            for day, each in lent.items():
                held = await burst(brokers, each, 5)
                assert len(held) in (0, 3)
                began[day] += [today.isoformat()] if held else []
                await settle(books, held)
        today += timedelta(days=1)
    assert began == {day: RESETS[year, day] for day in began}
    rows = [row for row in await books.counters() if row.scope_kind == "tier"]
    assert Counter(row.scope_id for row in rows) == {f"usr_{day}": len(RESETS[year, day]) for day in began}
    assert {(row.settled, row.held) for row in rows} == {(3 * HOLD, 0)}


@dataclass
class Expected:
    """What each window may hold and has held, by a calendar that asks nothing of the program."""

    most: dict[str, int]
    used: Counter[tuple[str, date]] = field(default_factory=Counter)

    def windows(self, today: date) -> list[tuple[str, date]]:
        tiers = today if today == month_end(today) else month_end(today.replace(day=1) - timedelta(days=1))
        return [
            ("day", today),
            ("week", today - timedelta(days=today.weekday())),
            ("month", today.replace(day=1)),
            ("tier", tiers),
        ]

    def admits(self, today: date, many: int) -> int:
        windows = self.windows(today)
        admitted = min(many, *(self.most[kind] - self.used[kind, start] for kind, start in windows))
        self.used.update({window: admitted for window in windows if admitted})
        return admitted


def month_end(day: date) -> date:
    """The anchor of who began on a 31st."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


async def test_in_400_days_each_period_begins_once_and_what_was_stays_as_it_was(
    books: Books, brokers: list[Reserver]
) -> None:
    today = date(2027, 11, 29)
    books.clock.now = instant(today)
    await books.limit("credential", "/crd_lent", "week", max_requests=11)
    await books.limit("provider", "openai", "month", budget=42 * HOLD)
    await books.limit("tier", "plus", "tier", budget=40 * HOLD)
    await books.add(books.key("crd_lent", operators=True))
    await books.tier("plus", 31)
    lent = await books.lend(credential_id="crd_lent", budget=3 * HOLD, budget_per="day")
    expected = Expected({"day": 3, "week": 11, "month": 42, "tier": 40})
    running: list[Reservation] = []
    for number in range(DAYS):
        books.clock.now = instant(today, 0 if number % 2 else 86_399)
        held = await burst(brokers, lent, 4)
        assert len(held) == expected.admits(today, 4), today
        # Some end in the period after theirs.
        await settle(books, running + held[1:])
        running = held[:1]
        today += timedelta(days=1)
    await settle(books, running)
    found = {
        (row.period_kind, datetime.fromtimestamp(row.period_start // SECOND, UTC).date()): row.settled
        // (HOLD if row.measure == "money" else 1)
        for row in await books.counters()
        if row.period_kind != "grant" and row.settled
    }
    assert found == expected.used
    assert all(row.held == row.overrun == 0 for row in await books.counters())
    assert instant(today) - instant(date(2027, 11, 29)) == DAYS * DAY
