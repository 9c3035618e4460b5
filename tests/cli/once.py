"""What is done once and copied from then on, where it would begin with what it began with the first time."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

from tests.cli.conftest import Broker
from tests.kept_folder import KeptFolder

T = TypeVar("T")


def once(work: Callable[[Broker], T]) -> Callable[[Broker], T]:
    """For work whose answer nobody changes."""
    done: list[tuple[KeptFolder, KeptFolder, T]] = []

    @wraps(work)
    def copied(broker: Broker) -> T:
        data = Path("data")
        before = KeptFolder.of(data)
        for began_with, left, answer in done:
            if began_with == before:
                left.copy_to(data)
                return answer
        answer = work(broker)
        done[:] = [(before, KeptFolder.of(data), answer)]
        return answer

    return copied
