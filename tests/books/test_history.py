"""What was spent, as its owner reads it."""

from broker.core.clock import MINUTE
from broker.ledger import history
from broker.store.ledger_tables import Refusal
from tests.books.world import ESTIMATED, NOT_RUN, Books, Lent, reported

QUARTER_START = 1_795_266_000_000_000
"""13:00 UTC."""


async def spend(books: Books, lent: Lent, minute: int, read: int, **changes: str) -> None:
    books.clock.now = QUARTER_START + minute * MINUTE
    await books.settle(await books.reserve(lent, **changes), reported(read, 0))


async def a_busy_hour(books: Books) -> Lent:
    """Four calls that cost, one that did not run, one that still runs, and one that was refused."""
    lent = await books.lend({"models": '["*"]', "budget": 10_000})
    for minute, read in ((0, 10), (14, 20), (15, 40)):
        await spend(books, lent, minute, read)
    await spend(books, lent, 16, 250, model="o3")
    books.clock.now = QUARTER_START + 17 * MINUTE
    await books.run("UPDATE \"grant\" SET state = 'active'")
    await books.settle(await books.reserve(lent), NOT_RUN)
    books.clock.now = QUARTER_START + 18 * MINUTE
    await books.reserve(lent)
    at = QUARTER_START + 19 * MINUTE
    await books.add(Refusal(id="ref", grant_id=lent.grant_id, at=at, provider="openai", model="x", code="no_price"))
    return lent


async def test_costs_are_summed_by_quarter_of_an_hour_overruns_included(books: Books) -> None:
    lent = await a_busy_hour(books)
    found = await books.db.read(lambda tx: history.cost_by_quarter(tx, lent.grant_id, QUARTER_START))
    assert found == [(QUARTER_START, 30), (QUARTER_START + 15 * MINUTE, 290)]
    later = QUARTER_START + 15 * MINUTE
    assert await books.db.read(lambda tx: history.cost_by_quarter(tx, lent.grant_id, later)) == [(later, 290)]


async def test_costs_are_summed_by_model_the_dearest_first(books: Books) -> None:
    lent = await a_busy_hour(books)
    found = await books.db.read(lambda tx: history.by_model(tx, lent.grant_id))
    assert [(each.model, each.requests, each.input_tokens, each.cost) for each in found] == [
        ("o3", 1, 250, 250),
        ("gpt-4o-mini", 3, 70, 70),
    ]


async def test_what_a_person_spent_is_the_sum_over_all_their_grants(books: Books) -> None:
    await a_busy_hour(books)
    await spend(books, await books.lend(), 30, 5)
    assert await books.db.read(lambda tx: history.spent_since(tx, books.user_id, QUARTER_START)) == 325
    assert await books.db.read(lambda tx: history.spent_since(tx, books.user_id, QUARTER_START + 15 * MINUTE)) == 295
    assert await books.db.read(lambda tx: history.spent_since(tx, "usr_nobody", 0)) == 0


async def test_recent_calls_and_refusals_come_newest_first(books: Books) -> None:
    lent = await a_busy_hour(books)
    now = QUARTER_START + 60 * MINUTE
    found = await books.db.read(lambda tx: history.recent_calls(tx, lent.grant_id, before=now))
    assert [(history.instant_of(row) - QUARTER_START) // MINUTE for row in found] == [19, 18, 17, 16, 15, 14, 0]
    page = await books.db.read(lambda tx: history.recent_calls(tx, lent.grant_id, before=now, most=2))
    assert [history.instant_of(row) for row in page] == [history.instant_of(row) for row in found[:2]]
    older = history.instant_of(page[-1])
    rest = await books.db.read(lambda tx: history.recent_calls(tx, lent.grant_id, before=older))
    assert len(rest) == len(found) - 2


async def test_refused_and_broken_calls_can_be_looked_at_alone(books: Books) -> None:
    lent = await a_busy_hour(books)
    await books.settle(await books.reserve(lent), ESTIMATED)
    now = QUARTER_START + 60 * MINUTE
    refused = await books.db.read(lambda tx: history.recent_calls(tx, lent.grant_id, before=now, only="refused"))
    assert [type(row) for row in refused] == [Refusal]
    broken = await books.db.read(lambda tx: history.recent_calls(tx, lent.grant_id, before=now, only="errors"))
    assert {row.outcome for row in broken if not isinstance(row, Refusal)} == {"broken", "unreachable"}


async def test_the_last_use_the_busiest_minute_and_the_refusals_are_told(books: Books) -> None:
    lent = await a_busy_hour(books)
    await books.reserve(lent)
    assert await books.db.read(lambda tx: history.last_used(tx, lent.grant_id)) == QUARTER_START + 18 * MINUTE
    assert await books.db.read(lambda tx: history.busiest_minute(tx, lent.access_id, QUARTER_START)) == 2
    refused = await books.db.read(lambda tx: history.refused_since(tx, lent.grant_id, QUARTER_START, "no_price"))
    assert refused == 1


async def test_a_grant_that_was_never_used_has_no_history(books: Books) -> None:
    lent = await books.lend()
    assert await books.db.read(lambda tx: history.last_used(tx, lent.grant_id)) is None
    assert await books.db.read(lambda tx: history.by_model(tx, lent.grant_id)) == []
    assert await books.db.read(lambda tx: history.busiest_minute(tx, lent.access_id, 0)) == 0
