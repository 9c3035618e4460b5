"""A long list reads the same of each grant as its own page does, in either store."""

from functools import partial

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY
from broker.core.grant import GrantEvent
from broker.ledger.limits import figures, figures_of
from broker.ledger.outline import Line, lines_of_user
from broker.store import grants, lent
from tests.books.world import Books, reported

MINE = {"budget": 3_000, "max_requests": 2}


async def lines(books: Books) -> list[Line]:
    return list(await books.db.read(partial(lines_of_user, user_id=books.user_id, now=books.clock())))


async def spread(books: Books) -> None:
    """Limits of every kind, with holds, with nothing left, and with a window that has rolled since."""
    used = await books.lend(MINE, {"budget_per": "day", "provider": "other"})
    await books.settle(await books.reserve(used), reported(40, 10))
    await books.reserve(used)
    weekly = await books.lend(budget_per="week", budget=5_000)
    await books.settle(await books.reserve(weekly), reported(40, 10))
    books.clock.turn(8 * DAY // 1_000_000)
    await books.reserve(weekly)
    over = await books.lend(budget=1_000)
    await books.settle(await books.reserve(over), reported(1_000_000, 10))
    await books.lend(budget=0, budget_per="month")
    await books.move((await books.lend()).grant_id, GrantEvent.REVOKE)


async def test_what_is_left_is_what_the_figures_of_each_access_say(books: Books) -> None:
    await spread(books)

    async def read(tx: AsyncSession) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for grant, _ in await lent.grants_among(tx, [line.grant_id for line in outline]):
            rows = await lent.accesses_of(tx, grant.id)
            alike = await figures_of(tx, [access for access, _ in rows], books.clock())
            for access, _ in rows:
                now = await figures(tx, access, books.clock())
                assert alike[access.id] == now
                left = (now.money.remaining, now.money.held, now.requests.remaining)
                found.append((grant.id, grant.state, access.credential_id, access.ends_at, *left))
        return found

    outline = await lines(books)
    told = [
        (
            line.grant_id,
            line.state,
            line.credential_id,
            line.ends_at,
            line.money_left,
            line.money_held,
            line.requests_left,
        )
        for line in outline
    ]
    assert sorted(told) == sorted(await books.db.read(read))
    assert {line.is_reached for line in outline} == {True, False}
    assert len({line.money_left for line in outline}) > 3


async def test_a_grant_of_which_no_access_is_left_is_one_line(books: Books) -> None:
    gone = await books.lend()
    await books.run("UPDATE access SET ended_at = 1")
    (line,) = await lines(books)
    assert (line.grant_id, line.credential_id, line.ends_at) == (gone.grant_id, None, None)


async def test_only_what_can_spend_now_is_paused_with_all(books: Books) -> None:
    paused, ended, past, running = [await books.lend() for _ in range(4)]
    await books.move(paused.grant_id, GrantEvent.PAUSE)
    await books.move(ended.grant_id, GrantEvent.REVOKE)
    await books.run("UPDATE access SET ends_at = 1 WHERE grant_id = :id", id=past.grant_id)
    pause = partial(grants.pause_active, user_id=books.user_id, now=books.clock())
    assert await books.db.read(partial(lent.active_of, user_id=books.user_id, now=books.clock())) == [
        (running.grant_id, "App")
    ]
    assert await books.db.write(pause) == [running.grant_id]
    assert await books.db.write(pause) == []
    assert [await books.state(each.grant_id) for each in (past, running)] == ["active", "paused"]


async def test_every_grant_is_listed_with_the_end_of_its_last_access(books: Books) -> None:
    two = await books.lend({"ends_at": 5}, {"ends_at": 9, "provider": "other"})
    none = await books.lend()
    await books.run("UPDATE access SET ended_at = 1 WHERE grant_id = :id", id=none.grant_id)
    found = await books.db.read(grants.listed)
    assert {(row.grant_id, row.email, row.ends_at) for row in found} == {
        (two.grant_id, "ana@example.com", 9),
        (none.grant_id, "ana@example.com", 0),
    }
