"""Group commit: who asks is answered after the batch is done and in order, and what there is no room for is refused at once."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from broker.core.errors import Unavailable
from broker.store import group
from broker.store.group import GATHER, MOST_AT_ONCE, MOST_WAITING, Group

PATIENCE = 30.0


class Disk:
    """Does batches of numbers, each of which is answered with its negative; those that have to wait do so for `go_on`."""

    def __init__(
        self, *, quick: bool = False, fails: Callable[[Sequence[int]], Exception | None] = lambda _: None
    ) -> None:
        self.batches: list[list[int]] = []
        self.done = 0
        """Batches that are."""
        self.go_on = asyncio.Semaphore(0)
        """A permit a batch."""
        self.is_quick = quick
        self._fails = fails
        self._running = 0

    def at_once(self, batch: Sequence[int]) -> Sequence[int | Exception] | None:
        if not self.is_quick:
            return None
        self.batches.append(list(batch))
        self.done += 1
        return [-asked for asked in batch]

    async def run(self, batch: Sequence[int]) -> Sequence[int | Exception]:
        assert self._running == 0, "one transaction at a time"
        self.batches.append(list(batch))
        self._running += 1
        await self.go_on.acquire()
        self._running -= 1
        if (failure := self._fails(batch)) is not None:
            raise failure
        self.done += 1
        return [-asked for asked in batch]

    def goes_on(self) -> None:
        """From now on nothing waits."""
        for _ in range(10 * MOST_WAITING // MOST_AT_ONCE):
            self.go_on.release()


class Asking:
    """Somebody who asks, and what they were told, in the order in which they were."""

    def __init__(self, disk: Disk, gather: float = GATHER) -> None:
        self.disk = disk
        self.group: Group[int, int] = Group(disk.at_once, disk.run, gather)
        self.told: list[tuple[int, int | Exception]] = []
        self.done_when_told: list[int] = []

    def ask(self, number: int, *, patient: bool = False) -> None:
        self.group.ask(number, partial(self._tell, number), patient=patient)

    def _tell(self, number: int, answer: int | Exception) -> None:
        self.told.append((number, answer))
        self.done_when_told.append(self.disk.done)

    async def settled(self) -> None:
        await asyncio.wait_for(self.group.settled(), PATIENCE)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - they say it by a list
                await asyncio.sleep(0.001)

    def fill(self) -> int:
        """Asks until there is no room, and gives how many were taken."""
        taken = 0
        while True:
            try:
                self.ask(taken)
            except Unavailable:
                return taken
            taken += 1


@pytest.mark.parametrize("quick", [False, True], ids=["that waits for the disk", "at once"])
async def test_answers_come_after_their_batch_is_done_and_in_order(quick: bool) -> None:
    asking = Asking(Disk(quick=quick))
    for number in range(2 * MOST_AT_ONCE + 5):
        asking.ask(number, patient=number % 3 == 0)
    assert asking.told == []
    asking.disk.goes_on()
    await asking.settled()
    assert asking.told == [(number, -number) for number in range(2 * MOST_AT_ONCE + 5)]
    last = [place for place, batch in enumerate(asking.disk.batches, 1) for _ in batch]
    assert asking.done_when_told == last


async def test_nobody_is_answered_while_the_batch_runs() -> None:
    asking = Asking(Disk())
    asking.ask(1)
    await asking.until(lambda: asking.disk.batches)
    await asyncio.sleep(0.02)
    assert asking.told == []
    asking.disk.go_on.release()
    await asking.until(lambda: asking.told)
    assert asking.told == [(1, -1)]


@pytest.mark.parametrize("quick", [False, True], ids=["that waits for the disk", "at once"])
async def test_a_batch_has_only_so_many(quick: bool) -> None:
    asking = Asking(Disk(quick=quick))
    for number in range(3 * MOST_AT_ONCE + 1):
        asking.ask(number)
    asking.disk.goes_on()
    await asking.settled()
    assert max(len(batch) for batch in asking.disk.batches) == MOST_AT_ONCE
    assert [number for batch in asking.disk.batches for number in batch] == list(range(3 * MOST_AT_ONCE + 1))


async def test_what_comes_while_a_batch_runs_shares_the_next() -> None:
    asking = Asking(Disk())
    asking.ask(0)
    await asking.until(lambda: asking.disk.batches)
    for number in range(1, 50):
        asking.ask(number)
    asking.disk.goes_on()
    await asking.settled()
    assert asking.disk.batches == [[0], list(range(1, 50))]


async def test_a_full_queue_refuses_but_not_what_is_patient_and_forgets_nothing() -> None:
    asking = Asking(Disk())
    asking.ask(-1)
    await asking.until(lambda: asking.disk.batches)
    taken = asking.fill()
    assert taken == MOST_WAITING
    with pytest.raises(Unavailable) as refused:
        asking.ask(taken)
    assert refused.value.detail == "too many operations wait for the store"
    patient = range(taken, taken + 300)
    for number in patient:
        asking.ask(number, patient=True)
    asking.disk.goes_on()
    await asking.settled()
    assert asking.told == [(number, -number) for number in range(-1, patient.stop)]
    asking.ask(7)
    await asking.settled()
    assert asking.told[-1] == (7, -7)


async def test_there_is_room_again_as_soon_as_a_batch_has_begun() -> None:
    asking = Asking(Disk())
    asking.ask(-1)
    await asking.until(lambda: asking.disk.batches)
    asking.fill()
    asking.disk.go_on.release()
    await asking.until(lambda: len(asking.disk.batches) == 2)
    assert asking.fill() == MOST_AT_ONCE
    asking.disk.goes_on()
    await asking.settled()


async def test_what_is_patient_is_done_although_nobody_else_asks() -> None:
    asking = Asking(Disk(quick=True))
    asking.ask(1, patient=True)
    assert asking.disk.batches == []
    await asking.until(lambda: asking.told)
    assert asking.told == [(1, -1)]


@pytest.mark.parametrize(
    ("failure", "detail"),
    [(Unavailable(detail="database is locked"), "database is locked"), (OSError("no disk"), "OSError('no disk')")],
    ids=["unavailable", "anything else"],
)
async def test_a_batch_that_fails_tells_each_who_waits_and_the_next_is_done(failure: Exception, detail: str) -> None:
    asking = Asking(Disk(fails=lambda batch: failure if 0 in batch else None))
    for number in range(5):
        asking.ask(number)
    await asking.until(lambda: asking.disk.batches)
    asking.ask(5)
    asking.disk.goes_on()
    await asking.settled()
    assert [number for number, _ in asking.told] == list(range(6))
    for _, answer in asking.told[:5]:
        assert isinstance(answer, Unavailable)
        assert answer.detail == detail
    assert asking.told[5] == (5, -5)


async def test_an_exception_among_the_answers_is_told_to_the_one_it_is_for() -> None:
    fault = ValueError("odd")

    async def run(batch: Sequence[int]) -> Sequence[int | Exception]:
        return [fault if number % 2 else number for number in batch]

    told: list[int | Exception] = []
    group: Group[int, int] = Group(lambda _: None, run)
    for number in range(4):
        group.ask(number, told.append)
    await group.settled()
    assert told == [0, fault, 2, fault]


async def test_settled_waits_for_what_was_submitted_before_and_for_no_more() -> None:
    asking = Asking(Disk())
    await asking.settled()  # nothing was
    asking.ask(1)
    asking.ask(2, patient=True)
    await asking.until(lambda: asking.disk.batches)
    settled = asyncio.create_task(asking.settled())
    await asyncio.sleep(0.02)
    assert not settled.done()
    asking.ask(3)
    later = asyncio.create_task(asking.settled())
    asking.disk.go_on.release()
    await settled
    assert asking.told == [(1, -1), (2, -2)]
    assert not later.done()
    asking.disk.go_on.release()
    await later
    assert asking.told[-1] == (3, -3)


async def test_one_who_waits_and_goes_away_keeps_nobody_waiting() -> None:
    asking = Asking(Disk())
    asking.ask(1)
    waiting = [asyncio.create_task(asking.settled()) for _ in range(3)]
    await asking.until(lambda: asking.disk.batches)
    waiting[1].cancel()
    await asyncio.wait({waiting[1]})
    asking.disk.go_on.release()
    await asyncio.gather(waiting[0], waiting[2])


async def test_what_failed_is_settled_too() -> None:
    asking = Asking(Disk(fails=lambda _: Unavailable(detail="away")))
    asking.ask(1)
    asking.disk.goes_on()
    await asking.settled()
    assert isinstance(asking.told[0][1], Unavailable)


async def in_a_batch(asking: Asking) -> None:
    """Until it is done; then the pause before the next one has just begun."""
    while not asking.told:  # noqa: ASYNC110 - to the very turn
        await asyncio.sleep(0)


def each_turn(asking: Asking, numbers: list[int]) -> None:
    """The first now, each of the others a turn of the loop later."""
    asking.ask(numbers.pop(0))
    if numbers:
        asyncio.get_running_loop().call_soon(each_turn, asking, numbers)


async def test_what_comes_turn_by_turn_shares_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_AT_ONCE", 10_000)
    asking = Asking(Disk(quick=True), gather=60.0)
    for number in range(5):
        asking.ask(number)
    await in_a_batch(asking)
    each_turn(asking, list(range(5, 2_000)))
    await asking.until(lambda: len(asking.told) == 2_000)
    assert asking.disk.batches == [list(range(5)), list(range(5, 2_000))]


async def test_nobody_waits_for_ever_for_those_who_go_on_coming() -> None:
    asking = Asking(Disk(quick=True), gather=0.0)
    for number in range(5):
        asking.ask(number)
    await in_a_batch(asking)
    each_turn(asking, list(range(5, 5_000)))
    await asking.until(lambda: len(asking.told) == 5_000)
    assert len(asking.disk.batches) > 5_000 // MOST_AT_ONCE
    assert [number for batch in asking.disk.batches for number in batch] == list(range(5_000))
