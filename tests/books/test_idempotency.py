"""A key of the app's under which a call runs once, whoever admits it and however it ends."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import CallRefused
from broker.ledger.ask import IdempotencyKey
from broker.ledger.books import OwnBooks
from broker.ledger.reserve import Reservation, Reserver
from broker.ledger.settle import Close, Ending
from broker.store.ledger_tables import IdempotencyKey as Row
from tests.books.world import ESTIMATED, NOT_RUN, REFUSED_THERE, Books, Lent, demand, reported
from tests.stores import Store

KEY = IdempotencyKey("a" * 64, "b" * 64)
A_DAY = 86_400
OTHER_BODY = KEY._replace(body="c" * 64)


async def ask(books: Books, lent: Lent | str, key: IdempotencyKey | None = KEY) -> Reservation:
    return await books.reserver(lent if isinstance(lent, str) else lent.jti, demand(), key)


async def refusal(books: Books, lent: Lent | str, key: IdempotencyKey | None = KEY) -> CallRefused:
    with pytest.raises(CallRefused) as refused:
        await ask(books, lent, key)
    return refused.value


async def test_a_call_that_runs_is_in_progress_for_its_repetition(books: Books) -> None:
    lent = await books.lend()
    await ask(books, lent)
    repeated = await refusal(books, lent)
    assert (repeated.code, repeated.retry_after) == ("in_progress", 1)
    assert len(await books.rows()) == 1


async def test_a_call_that_ran_says_what_it_cost(books: Books) -> None:
    lent = await books.lend()
    await books.settle(await ask(books, lent), reported(90, 20))
    repeated = await refusal(books, lent)
    assert (repeated.code, repeated.retry_after) == ("already_ran", None)
    assert repeated.extra == {"cost": 130, "mark": "reported", "provider_status": 200}


async def test_what_it_cost_beyond_its_bound_is_told_too(books: Books) -> None:
    lent = await books.lend()
    await books.settle(await ask(books, lent), reported(500, 0))
    await books.run("UPDATE \"grant\" SET state = 'active'")
    assert (await refusal(books, lent)).extra["cost"] == 500


@pytest.mark.parametrize("ending", [None, reported(90, 20)], ids=["running", "ended"])
async def test_another_request_under_the_same_key_is_told_so(books: Books, ending: Ending | None) -> None:
    lent = await books.lend()
    held = await ask(books, lent)
    if ending is not None:
        await books.settle(held, ending)
    assert (await refusal(books, lent, OTHER_BODY)).code == "idempotency_mismatch"


@pytest.mark.parametrize("ending", [NOT_RUN, REFUSED_THERE], ids=["not sent", "refused by the provider"])
async def test_a_call_that_did_not_run_frees_its_key(books: Books, ending: Ending) -> None:
    lent = await books.lend()
    await books.settle(await ask(books, lent), ending)
    again = await ask(books, lent, OTHER_BODY)
    assert (await refusal(books, lent, OTHER_BODY)).code == "in_progress"
    await books.settle(again, ending)
    await ask(books, lent)


async def test_a_refused_call_takes_no_key(books: Books) -> None:
    lent = await books.lend(budget=350)
    first = await ask(books, lent, None)
    assert (await refusal(books, lent)).code == "budget_exhausted"
    await books.settle(first, NOT_RUN)
    await ask(books, lent)


async def test_a_call_that_ran_says_so_even_where_nothing_is_left_for_it(books: Books) -> None:
    lent = await books.lend(budget=200)
    await books.settle(await ask(books, lent), ESTIMATED)
    assert (await refusal(books, lent)).code == "already_ran"
    assert (await refusal(books, lent, None)).code == "budget_exhausted"


async def test_a_key_stands_for_its_call_for_a_day(books: Books) -> None:
    lent = await books.lend()
    await books.settle(await ask(books, lent), reported(1, 1))
    books.clock.turn(A_DAY - 1)
    assert (await refusal(books, lent)).code == "already_ran"
    books.clock.turn(1)
    await ask(books, lent, OTHER_BODY)


async def test_a_call_that_still_runs_keeps_its_key_for_longer(books: Books) -> None:
    lent = await books.lend()
    await ask(books, lent)
    books.clock.turn(2 * A_DAY)
    assert (await refusal(books, lent)).code == "in_progress"


async def test_a_call_of_a_process_that_died_has_run_once_it_is_swept(books: Books) -> None:
    lent = await books.lend()
    doomed = books.new_lease(30)
    await doomed.take()
    await Reserver(books.own, books.clock, doomed)(lent.jti, demand(), KEY)
    books.clock.turn(31)
    assert (await refusal(books, lent)).code == "in_progress"
    assert await books.sweep() == 1
    repeated = await refusal(books, lent)
    assert (repeated.code, repeated.extra["mark"], repeated.extra["cost"]) == ("already_ran", "unresolved", 200)


async def test_all_tokens_of_a_grant_share_its_keys(books: Books) -> None:
    lent = await books.lend()
    await ask(books, lent)
    assert (await refusal(books, await books.token(lent.grant_id))).code == "in_progress"


async def test_of_two_in_one_transaction_one_is_admitted(books: Books) -> None:
    lent = await books.lend(budget=100 * 200)
    await ask(books, lent, None)  # what follows is admitted at sight
    given = await asyncio.gather(*(ask(books, lent) for _ in range(20)), return_exceptions=True)
    codes = Counter(each.code for each in given if isinstance(each, CallRefused))
    assert codes == {"in_progress": 19}
    assert len(await books.rows()) == 2


@pytest.mark.parametrize("freed", [False, True], ids=["new", "freed"])
async def test_of_three_processes_at_once_one_is_admitted(store: Store, books: Books, freed: bool) -> None:
    elsewhere = store.open()
    processes = [books.own, books.others, OwnBooks(elsewhere, books.clock)]
    lents = [await books.lend() for _ in range(10)]
    for number, lent in enumerate(lents):
        key = KEY._replace(digest=f"{number:064}")
        if freed:
            await books.settle(await ask(books, lent, key), NOT_RUN)
        asked = [Reserver(each, books.clock, books.lease)(lent.jti, demand(), key) for each in processes * 3]
        given = await asyncio.gather(*asked, return_exceptions=True)
        codes = Counter(each.code for each in given if isinstance(each, CallRefused))
        assert codes == {"in_progress": 8}
        (held,) = [each for each in given if isinstance(each, Reservation)]
        await processes[number % 3].submit(Close(held.id, reported(10, 5)))
    await elsewhere.close()


async def test_a_call_without_a_key_leaves_none(books: Books) -> None:
    lent = await books.lend()
    await ask(books, lent, None)
    await ask(books, lent, None)

    async def count(tx: AsyncSession) -> int:
        return (await tx.exec(select(func.count()).select_from(Row))).one()

    assert await books.db.read(count) == 0
