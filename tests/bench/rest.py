"""What each server takes while nobody calls, started by itself: pages that several servers share would count for a part only."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import brokers, postgres
from tests.bench.compare import ON_POSTGRES, VARIANTS, folder_of
from tests.bench.loading import Scene, Target, load
from tests.bench.peers import OTHERS
from tests.bench.processes import memory
from tests.bench.programs import provider

Start = Callable[[int], AbstractContextManager[Target]]
"""Before the provider on this port."""
_FIRST = Scene("first", 1)
_SETTLED_SECONDS = 2.0


def run(say: Callable[[str], object]) -> dict[str, Any]:
    """Megabytes of all processes of a server, two seconds after the first call it answered."""
    taken: dict[str, float] = {}
    with provider() as port, ExitStack() as stack:
        for name, start in (_peers() | _on_sqlite() | _on_postgres(stack)).items():
            with start(port) as target:
                load(target, _FIRST, 1, count=1)
                time.sleep(_SETTLED_SECONDS)
                taken[name] = memory(target.roots) / 1e6
            say(f"  {name:<32} {taken[name]:6.1f} MB")
    return {"megabytes": taken}


def _peers() -> dict[str, Start]:
    there = [peer for peer in OTHERS if peer.name != "direct" and not peer.missing()]
    return {peer.name: partial(peer.start, brokers.home() / f"rest-{folder_of(peer.name)}") for peer in there}


def _on_sqlite() -> dict[str, Start]:
    furnished = brokers.furnish(brokers.home() / "rest", 1)
    return {name: _broker(furnished.copy(f"rest-{folder_of(name)}"), chosen) for name, chosen in VARIANTS.items()}


def _on_postgres(stack: ExitStack) -> dict[str, Start]:
    """With the memory of the database."""
    if not postgres.is_ours():
        return {}
    url, roots = stack.enter_context(postgres.database(brokers.home() / "rest-postgres"))
    settings = {"BROKER_DATABASE_URL": url}
    folder = brokers.furnish(brokers.home() / "rest-on-postgres", 1, settings).folder
    return {name: _broker(folder, settings | chosen, roots) for name, chosen in ON_POSTGRES.items()}


def _broker(folder: Path, settings: dict[str, str], others: tuple[int, ...] = ()) -> Start:
    @contextmanager
    def start(port: int) -> Iterator[Target]:
        with brokers.serve(folder, port, **settings) as target:
            yield replace(target, roots=(*target.roots, *others))

    return start
