"""What a disk costs whose flushes take long: the same calls with so many milliseconds added to each flush of Broker."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests.bench import brokers, rounds
from tests.bench.programs import program, provider
from tests.bench.rounds import MANY, MOST, ONE, Length, Plan

ADDED_MS = (0, 5, 20)
SCENES = (ONE, MANY, MOST)


def run(length: Length, say: Callable[[str], object]) -> dict[str, Any]:
    """One worker on SQLite FULL; a server for each disk."""
    furnished = brokers.furnish(brokers.home() / "disk")
    with provider() as port, ExitStack() as stack:
        targets = {
            name(added): stack.enter_context(
                brokers.serve(furnished.copy(f"disk-{added}"), port, BROKER_SQLITE_SYNCHRONOUS="full", **slow(added))
            )
            for added in ADDED_MS
        }
        taken = rounds.measure(targets, [Plan(scene, targets.keys()) for scene in SCENES], length, say)
    rows = {disk: {scene: rounds.as_json(each) for scene, each in scenes.items()} for disk, scenes in taken.items()}
    return {"rows": rows, "rounds": length.rounds, "seconds": length.seconds}


def name(added: int) -> str:
    return f"+ {added} ms" if added else "as here"


def slow(added: float) -> dict[str, str]:
    """The environment of a process whose flushes take so many milliseconds more; its children's, too."""
    return {"LD_PRELOAD": str(program("slow_disk.so")), "SLOW_DISK_MS": str(added)}
