"""The process that forks workers: what it starts, what it reports, and what becomes of everybody when it is killed."""

import asyncio
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.core.errors import CannotStart
from broker.serve.nursery import Nursery, Work
from tests.serve.running import eventually, is_alive, serving


@asynccontextmanager
async def nursery(work: Work) -> AsyncIterator[Nursery]:
    made, gone = Nursery(work), asyncio.Event()
    hearing = asyncio.create_task(made.listen(gone.set))
    try:
        yield made
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        made.close()


def says_what_it_is(descriptors: Sequence[int]) -> int:
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    os.write(descriptors[0], f"{os.getpid()} {ignored} {random.random()}\n".encode())
    return 7


def fails(_descriptors: Sequence[int]) -> int:
    raise ZeroDivisionError


def waits(descriptors: Sequence[int]) -> int:
    return len(os.read(descriptors[0], 1))


async def test_workers_have_what_they_are_given_and_their_status_is_told() -> None:
    here, there = os.pipe()
    async with nursery(says_what_it_is) as made:
        pids = [await made.worker([there]) for _ in range(2)]
        assert [await made.ended(pid) for pid in pids] == [7, 7]
        assert not made.lives(pids[0])
    os.close(there)
    with os.fdopen(here) as told:
        lines = [line.split() for line in told]
    assert {line[0] for line in lines} == {str(pid) for pid in pids}
    assert {line[1] for line in lines} == {"True"}
    assert len({line[2] for line in lines}) == 2, "they draw the same random numbers"


async def test_a_worker_that_fails_ends_with_status_1() -> None:
    async with nursery(fails) as made:
        assert await made.ended(await made.worker([])) == 1


async def test_a_worker_that_is_killed_is_told_by_its_signal_while_its_sister_lives() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with nursery(waits) as made:
            first, second = [await made.worker([theirs.fileno()]) for _ in range(2)]
            os.kill(first, signal.SIGKILL)
            assert await made.ended(first) == -signal.SIGKILL
            assert made.lives(second)
            ours.send(b".")
            assert await made.ended(second) == 1


async def test_when_it_is_gone_nothing_more_is_learnt_or_started() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made, gone = Nursery(waits), asyncio.Event()
        hearing = asyncio.create_task(made.listen(gone.set))
        worker = await made.worker([theirs.fileno()])
        os.kill(made.pid, signal.SIGKILL)
        await gone.wait()
        assert await made.ended(worker) is None
        with pytest.raises(CannotStart):
            await made.worker([])
        await hearing
        made.close()
        ours.send(b".")
        assert eventually(lambda: not is_alive(worker), within=5)


def test_a_server_whose_nursery_is_killed_ends_with_status_1_and_leaves_nothing_running(folder: Path) -> None:
    with serving(folder, BROKER_WORKERS="2") as server:
        workers = server.workers()
        os.kill(server.nursery(), signal.SIGKILL)
        assert server.process.wait(30) == 1
        assert eventually(lambda: not any(is_alive(pid) for pid in workers), within=1)
    assert "the process that starts workers has ended" in (folder / "stderr.log").read_text()


def test_the_nursery_ends_with_a_killed_parent(folder: Path) -> None:
    with serving(folder) as server:
        nursery = server.nursery()
        server.process.kill()
        assert eventually(lambda: not is_alive(nursery), within=1)
