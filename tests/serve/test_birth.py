"""How workers come to be: what they are given, what they share, and what becomes of them when nobody gives them anything."""

import gc
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from broker.serve.birth import fork, program
from tests.serve.running import environment, eventually, is_alive, serving

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
"""Later Pythons warn of a fork beside threads; the process of the tests may have some, a server has none yet."""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)  # what is frozen may stay so: all that was collected is


def says_what_it_is(line: socket.socket, descriptors: Sequence[int]) -> int:
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    os.write(descriptors[0], f"{os.getpid()} {ignored} {random.random()}\n".encode())
    line.recv(1)
    return 7


def modules_found_by(command: list[str], folder: Path) -> str:
    """What it says of itself where the folder that it stands in has a module called as one of Python's own."""
    (folder / "selectors.py").write_text("raise SystemExit('from this folder')")
    said = subprocess.run(
        command, check=False, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60
    )
    return said.stderr


def test_a_new_interpreter_imports_nothing_of_the_folder_that_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command `broker` does not; `python -m broker` does, and so does what it starts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    for module in ("broker.serve.light", "broker.serve.worker"):
        said = modules_found_by(program(module), tmp_path)
        assert "IndexError" in said, said  # it was told nothing
    monkeypatch.syspath_prepend(tmp_path)
    assert "from this folder" in modules_found_by(program("broker.serve.light"), tmp_path)


def fails(_line: socket.socket, _descriptors: Sequence[int]) -> int:
    raise ZeroDivisionError


def _status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_workers_have_what_they_are_given_and_end_with_the_status_of_their_work() -> None:
    here, there = os.pipe()
    brood = fork(2, says_what_it_is)
    for born in brood:
        born.give([there])
        born.line.close()
    assert [_status(born.pid) for born in brood] == [7, 7]
    os.close(there)
    with os.fdopen(here) as told:
        lines = [line.split() for line in told]
    assert {line[0] for line in lines} == {str(born.pid) for born in brood}
    assert {line[1] for line in lines} == {"True"}
    assert len({line[2] for line in lines}) == 2, "they draw the same random numbers"


def test_a_worker_hears_of_the_end_of_its_parent_while_its_sisters_live() -> None:
    brood = fork(3, says_what_it_is)
    for born in brood:
        born.line.close()
        assert _status(born.pid) == 0


def test_a_worker_that_fails_ends_with_status_1() -> None:
    (born,) = fork(1, fails)
    born.give([])
    assert _status(born.pid) == 1
    born.give([])
    born.line.close()


def test_one_that_is_started_in_the_place_of_a_dead_one_serves_and_ends_with_the_server(folder: Path) -> None:
    with serving(folder) as server:
        (forked,) = server.workers()
        os.kill(forked, signal.SIGKILL)
        (anew,) = eventually(lambda: [pid for pid in server.workers() if pid != forked])
        assert eventually(server.answers)
        assert server.end() == 0
        assert not is_alive(anew)
