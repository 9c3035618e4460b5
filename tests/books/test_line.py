"""The books over a line to the process that writes them: the same answers, the same refusals, and turns."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broker.core.errors import CallRefused, Unavailable
from broker.ledger import host
from broker.ledger.distant import DistantBooks
from broker.ledger.host import Hosted
from broker.ledger.judge import NO_PRICE
from broker.ledger.reserve import Reserver
from broker.ledger.settle import Close, Ending, Settled
from tests.books.world import ESTIMATED, Books, demand, reported


@asynccontextmanager
async def line(books: Books) -> AsyncIterator[tuple[DistantBooks, Hosted]]:
    ours, theirs = socket.socketpair()
    hosted = await Hosted.on(ours, books.db, books.own)
    _, distant = await asyncio.get_running_loop().create_unix_connection(DistantBooks, sock=theirs)
    yield distant, hosted
    distant.close()
    hosted.close()
    await asyncio.sleep(0.01)


async def test_a_reservation_is_the_same_on_both_ends(books: Books) -> None:
    lent = await books.lend(requests_per_minute=9, max_output_tokens=70)
    async with line(books) as (distant, _):
        held = await Reserver(distant, books.clock, books.lease)(lent.jti, demand(own_output=None))
        row = await books.row(held)
        assert (row.hold, row.output_bound, row.credential_id) == (held.hold, held.output_max, held.credential.id)
        assert held.price == demand().price
        assert held.rate is not None
        assert held.rate.requests_left == 8
        assert await distant.submit(Close(held.id, reported(10, 5))) == Settled(20, 0)  # type: ignore[arg-type]
        assert await distant.submit(Close(held.id, ESTIMATED)) == Settled(20, 0)  # type: ignore[arg-type]


async def test_a_refusal_is_the_same_on_both_ends(books: Books) -> None:
    lent = await books.lend(budget=350)
    async with line(books) as (distant, _):
        reserve = Reserver(distant, books.clock, books.lease)
        await reserve(lent.jti, demand())
        near = await books.refused(lent)
        with pytest.raises(CallRefused) as far:
            await reserve(lent.jti, demand())
        assert vars(far.value) == vars(near)


async def test_a_model_without_a_price_is_refused_over_the_line_as_well(books: Books) -> None:
    lent = await books.lend()
    async with line(books) as (distant, _):
        with pytest.raises(CallRefused) as refused:
            await Reserver(distant, books.clock, books.lease)(lent.jti, demand(price=NO_PRICE))
        assert refused.value.code == "no_price"


async def test_what_was_handed_in_over_the_line_is_there_once_it_is_settled(books: Books) -> None:
    lent = await books.lend()
    async with line(books) as (distant, _):
        held = await Reserver(distant, books.clock, books.lease)(lent.jti, demand())
        ended = distant.submit(Close(held.id, Ending("not_run", "unreachable", reached=False)))
        await distant.settled()
        assert (await books.row(held)).state == "released"
        await ended


async def test_turns_are_given_one_at_a_time_and_those_given_up_are_given_on(books: Books) -> None:
    async with line(books) as (one, _), line(books) as (other, _):
        async with one.turn:
            waiting = asyncio.create_task(other.turn.__aenter__())
            await asyncio.sleep(0.02)
            assert not waiting.done()
            waiting.cancel()
            await asyncio.wait([waiting])
        for distant in (one, other, one):
            async with asyncio.timeout(5), distant.turn:
                assert isinstance(books.db.turn, asyncio.Lock)
                assert books.db.turn.locked()


async def test_the_turn_of_a_worker_that_is_gone_is_over(books: Books) -> None:
    async with line(books) as (one, _), line(books) as (other, _):
        await one.turn.__aenter__()
        one.close()
        async with asyncio.timeout(5), other.turn:
            pass


async def test_a_worker_that_hangs_in_its_turn_loses_it(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LONGEST_TURN", 0.05)
    async with line(books) as (one, _), line(books) as (other, _):
        await one.turn.__aenter__()
        async with asyncio.timeout(5), other.turn:
            pass


async def test_while_the_other_end_is_away_nothing_is_admitted(books: Books) -> None:
    lent = await books.lend()
    async with line(books) as (distant, hosted):
        reserve = Reserver(distant, books.clock, books.lease)
        hosted.close()
        asked = reserve(lent.jti, demand())
        with pytest.raises(Unavailable):
            await asked
        await asyncio.sleep(0.02)
        with pytest.raises(Unavailable):
            await reserve(lent.jti, demand())
        with pytest.raises(Unavailable):
            await distant.settled()
