"""Tries are counted before they are judged, a person and an address."""

import asyncio

from broker.identity.throttle import WINDOW, Admitted, Throttle, Wait
from broker.store.database import Database
from tests.turned_clock import TurnedClock


async def _try(db: Database, throttle: Throttle, clock: TurnedClock, person: str, address: str) -> Admitted | Wait:
    return await db.write(lambda tx: throttle.admit(tx, clock(), person=person, address=address))


async def test_many_tries_at_once_are_no_way_around(db: Database, clock: TurnedClock) -> None:
    throttle = Throttle(b"k", 10, 100)
    answers = await asyncio.gather(*(_try(db, throttle, clock, "ana", f"10.0.0.{n}") for n in range(40)))
    assert sum(isinstance(answer, Admitted) for answer in answers) == 10


async def test_it_says_when_the_next_try_is_free(db: Database, clock: TurnedClock) -> None:
    throttle = Throttle(b"k", 2, 100)
    first = clock.now
    await _try(db, throttle, clock, "ana", "10.0.0.1")
    clock.turn(60)
    await _try(db, throttle, clock, "ana", "10.0.0.1")
    clock.turn(60)
    answer = await _try(db, throttle, clock, "ana", "10.0.0.1")
    assert isinstance(answer, Wait)
    assert answer.until == first + WINDOW
    clock.now = answer.until
    assert isinstance(await _try(db, throttle, clock, "ana", "10.0.0.1"), Admitted)


async def test_the_longest_wait_counts(db: Database, clock: TurnedClock) -> None:
    throttle = Throttle(b"k", 1, 1)
    await _try(db, throttle, clock, "ana", "10.0.0.1")
    clock.turn(60)
    await _try(db, throttle, clock, "ben", "10.0.0.2")
    answer = await _try(db, throttle, clock, "ana", "10.0.0.2")
    assert isinstance(answer, Wait)
    assert answer.until == clock.now + WINDOW


async def test_a_house_of_ipv6_addresses_is_one(db: Database, clock: TurnedClock) -> None:
    throttle = Throttle(b"k", 100, 2)
    answers = [await _try(db, throttle, clock, f"p{n}", f"2001:db8:0:1::{n}") for n in range(3)]
    assert [type(answer) for answer in answers] == [Admitted, Admitted, Wait]
    assert isinstance(await _try(db, throttle, clock, "p", "2001:db8:0:2::1"), Admitted)


async def test_what_is_forgotten_does_not_count(db: Database, clock: TurnedClock) -> None:
    throttle = Throttle(b"k", 1, 1)
    admitted = await _try(db, throttle, clock, "ana", "10.0.0.1")
    assert isinstance(admitted, Admitted)
    await db.write(admitted.forget)
    assert isinstance(await _try(db, throttle, clock, "ana", "10.0.0.1"), Admitted)
