"""A call that is held goes on with another key of its access: the hold moves with it, or stays where it is."""

import asyncio
from typing import Any

import pytest

from broker.core.clock import SECOND
from broker.core.credential import SealedKey
from broker.core.errors import CallRefused, Unavailable
from broker.core.grant import GrantEvent
from broker.ledger.ask import Failed, GoOn, Reservation
from broker.ledger.keys import load_keys
from broker.ledger.pool import all_rest
from broker.ledger.reserve import Reserver
from broker.ledger.settle import Close
from broker.store import spare_keys
from broker.store.grant_tables import Access
from broker.store.limit_tables import OverallLimit
from broker.store.quarantine import rest
from broker.store.steps import run_steps
from tests.books.test_line import line
from tests.books.world import NOT_RUN, Books, Lent, demand, reported

DAY = 86_400 * SECOND


async def lent_with(books: Books, *names: str, strategy: str = "priority", **terms: Any) -> Lent:
    """An access with these keys, in this order, after the usual one."""
    lent = await books.lend(**terms)
    await books.add(*(books.key(name) for name in names))

    async def work(tx: Any) -> None:
        access = await tx.get_one(Access, lent.access_id)
        await spare_keys.lend(tx, access, [books.credential_id, *names], strategy)

    await books.db.write(work)
    return lent


def after(books: Books, held: Reservation, *tried: SealedKey, cause: str = "", wait: int = 0) -> GoOn:
    """What a worker asks when the last of these keys did not serve."""
    last = tried[-1] if tried else held.credential
    failed = Failed(
        last, len(tried) or 1, books.clock(), 429, "provider_refused", cause, books.clock() + wait if cause else 0
    )
    ids = tuple(key.id for key in tried) or (last.id,)
    return GoOn(held.id, held.jti, books.lease.boot_id, held.access_id, 0, ids, failed)


async def limit_key(books: Books, credential_id: str, budget: int) -> None:
    scope = f"{books.user_id}/{credential_id}"
    await books.add(
        OverallLimit(scope_kind="credential", scope_id=scope, budget=budget, per="month", changed_at=books.clock())
    )


async def held_on(books: Books) -> dict[str, tuple[int, int]]:
    """By key, (settled, held) of its counter of money."""
    rows = await books.counters()
    return {row.scope_id.split("/")[1]: (row.settled, row.held) for row in rows if row.scope_kind == "credential"}


async def test_the_hold_moves_to_the_next_key_and_settles_there(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    await limit_key(books, books.credential_id, 1_000)
    await limit_key(books, "crd_b", 1_000)
    held = await books.reserver(lent.jti, demand())
    assert held.pooled
    assert await held_on(books) == {books.credential_id: (0, 200)}
    went_on = await books.reserver.go_on(after(books, held))
    assert went_on.credential.id == "crd_b"
    assert await held_on(books) == {books.credential_id: (0, 0), "crd_b": (0, 200)}
    row = await books.row(held)
    assert row.credential_id == "crd_b"
    assert [key.scope_id for key in load_keys(row.charged) if key.scope_kind == "credential"] == [
        f"{books.user_id}/crd_b"
    ]
    assert not await books.fault()
    await books.own.submit(Close(held.id, reported(10, 5)))
    assert await held_on(books) == {books.credential_id: (0, 0), "crd_b": (20, 0)}
    assert (await books.money(lent.access_id)).settled == 20
    assert (await books.requests(lent.access_id)).settled == 1


async def test_a_key_whose_own_limit_has_no_room_is_skipped(books: Books) -> None:
    lent = await lent_with(books, "crd_b", "crd_c")
    await limit_key(books, "crd_b", 199)
    held = await books.reserver(lent.jti, demand())
    assert (await books.reserver.go_on(after(books, held))).credential.id == "crd_c"
    await books.own.submit(Close(held.id, NOT_RUN))
    assert await held_on(books) in ({}, {"crd_b": (0, 0)})


async def test_a_first_key_without_room_is_passed_over_at_once(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    await limit_key(books, books.credential_id, 199)
    held = await books.reserver(lent.jti, demand())
    assert held.credential.id == "crd_b"


async def test_each_key_is_tried_once_and_then_it_is_said_when_one_wakes(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    held = await books.reserver(lent.jti, demand())
    first = held.credential
    second = (await books.reserver.go_on(after(books, held, cause="rate_limited", wait=40 * SECOND))).credential
    with pytest.raises(CallRefused) as none:
        await books.reserver.go_on(after(books, held, first, second, cause="rate_limited", wait=9 * SECOND))
    assert (none.value.code, none.value.retry_after) == ("provider_key_unavailable", 9)
    await books.own.submit(Close(held.id, NOT_RUN))
    # The next call is told the same before anything is held for it, by whoever writes the books.
    for reserver in (books.reserver, Reserver(books.others, books.clock, books.lease)):
        with pytest.raises(CallRefused) as refused:
            await reserver(lent.jti, demand())
        assert (refused.value.code, refused.value.retry_after) == ("provider_key_unavailable", 9)
    books.clock.now += 9 * SECOND
    assert (await books.reserver(lent.jti, demand())).credential.id == "crd_b"


async def test_a_key_that_another_process_put_to_rest_is_seen_by_the_next_call(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    held = await books.reserver(lent.jti, demand())

    async def work(tx: Any) -> None:
        now = books.clock()
        await run_steps(await tx.connection(), rest(held.credential, "refused", now + DAY, now))

    await books.db.write(work)
    assert (await books.reserver(lent.jti, demand())).credential.id == "crd_b"


async def test_a_key_that_was_replaced_does_not_rest(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    held = await books.reserver(lent.jti, demand())
    await books.reserver.go_on(after(books, held, cause="refused", wait=DAY))
    await books.run("UPDATE credential SET version = 2 WHERE id = :id", id=books.credential_id)
    assert (await books.reserver(lent.jti, demand())).credential.id == books.credential_id


async def test_what_has_ended_goes_on_with_nothing_and_its_key_rests_all_the_same(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    held = await books.reserver(lent.jti, demand())
    close, go_on = await asyncio.gather(
        books.own.submit(Close(held.id, reported(10, 5))),
        books.own.submit(after(books, held, cause="refused", wait=DAY)),
        return_exceptions=True,
    )
    assert close == (20, 0)
    assert isinstance(go_on, Unavailable)
    assert (await books.row(held)).credential_id == books.credential_id
    assert (await books.reserver(lent.jti, demand())).credential.id == "crd_b"


async def test_what_the_sweep_has_ended_moves_no_counter(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    await limit_key(books, books.credential_id, 1_000)
    held = await books.reserver(lent.jti, demand())
    await books.others.submit(Close(held.id, reported(10, 5)))
    with pytest.raises(Unavailable):
        await books.reserver.go_on(after(books, held))
    assert await held_on(books) == {books.credential_id: (20, 0)}


async def test_a_paused_grant_goes_on_with_no_other_key(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    held = await books.reserver(lent.jti, demand())
    await books.move(lent.grant_id, GrantEvent.PAUSE)
    with pytest.raises(CallRefused) as refused:
        await books.reserver.go_on(after(books, held))
    assert refused.value.code == "grant_paused"


async def test_a_removed_key_is_no_candidate(books: Books) -> None:
    lent = await lent_with(books, "crd_b", "crd_c")
    held = await books.reserver(lent.jti, demand())
    await books.run("UPDATE credential SET sealed = '', removed_at = 1 WHERE id = 'crd_b'")
    assert (await books.reserver.go_on(after(books, held))).credential.id == "crd_c"


async def test_a_call_goes_on_over_the_line_as_well(books: Books) -> None:
    lent = await lent_with(books, "crd_b")
    async with line(books) as (distant, _):
        reserver = Reserver(distant, books.clock, books.lease)
        held = await reserver(lent.jti, demand())
        assert held.pooled
        went_on = await reserver.go_on(after(books, held, cause="rate_limited", wait=5 * SECOND))
        assert went_on.credential.id == "crd_b"
        with pytest.raises(CallRefused) as near:
            await reserver.go_on(after(books, held, held.credential, went_on.credential))
        assert near.value.extra == {"available_at": -(-(books.clock() + 5 * SECOND) // SECOND)}


async def test_a_call_with_one_key_reads_and_keeps_what_it_always_did(books: Books) -> None:
    lent = await books.lend()
    held = await books.reserver(lent.jti, demand())
    assert not held.pooled


async def test_what_is_kept_at_a_provider_is_reached_by_its_own_key_and_no_other(books: Books) -> None:
    lent = await lent_with(books, "crd_b", "crd_c")
    for credential_id in (books.credential_id, "crd_b", "crd_c"):
        held = await books.reserver(lent.jti, demand(credential_id=credential_id))
        assert (held.credential.id, held.pooled) == (credential_id, False)
    with pytest.raises(CallRefused) as refused:
        await books.reserver(lent.jti, demand(credential_id="crd_d"))
    assert refused.value.code == "not_found"


def test_nobody_is_told_a_second_at_which_the_key_still_rests() -> None:
    """From 0.9 until 2.8: two seconds are enough to wait, and the second that has begun by then is the third."""
    refused = all_rest(2_800_000, 900_000)
    assert (refused.retry_after, refused.extra) == (2, {"available_at": 3})
    assert "1970-01-01 00:00:03 UTC" in refused.description
