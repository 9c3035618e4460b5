"""Broker beside others, in one run: calls a second, times, processor time a call."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests.bench import brokers, rounds
from tests.bench.loading import Target
from tests.bench.peers import OTHERS
from tests.bench.programs import provider
from tests.bench.rounds import Length, Plan

FULL, NORMAL = "Broker, SQLite FULL", "Broker, SQLite NORMAL"
POSTGRES = "Broker, PostgreSQL"
TWO = ", 2 workers"

VARIANTS: dict[str, dict[str, str]] = {
    FULL: {},
    FULL + TWO: {"BROKER_WORKERS": "2"},
    NORMAL: {"BROKER_SQLITE_SYNCHRONOUS": "normal"},
    NORMAL + TWO: {"BROKER_SQLITE_SYNCHRONOUS": "normal", "BROKER_WORKERS": "2"},
}

NO_STREAMS = {"Portkey"}
"""Its release for Node fails on every stream ("TypeError: immutable")."""
PACED = {"direct", "nginx", "bare passthrough", "LiteLLM", FULL, NORMAL, POSTGRES}


def plans() -> list[Plan]:
    names = {peer.name for peer in OTHERS} | set(VARIANTS) | {POSTGRES, POSTGRES + TWO}
    ours = {name for name in names if name.startswith("Broker")}
    return [
        *(Plan(scene, names) for scene in (rounds.ONE, rounds.MANY, rounds.MOST)),
        Plan(rounds.STREAMS, names - NO_STREAMS),
        *(Plan(scene, PACED) for scene in (rounds.PACED_ONE, rounds.PACED_MANY)),
        *(Plan(scene, ours) for scene in (rounds.SLOW_MANY, rounds.SLOW_MOST)),
    ]


def run(length: Length, say: Callable[[str], object]) -> dict[str, Any]:
    with provider() as port, ExitStack() as stack:
        targets: dict[str, Target] = {}
        skipped, versions = {}, {}
        for peer in OTHERS:
            missing = peer.missing()
            if missing:
                skipped[peer.name] = missing
                say(f"  skipped  {peer.name}: {missing}")
                continue
            versions[peer.name] = peer.version()
            targets[peer.name] = stack.enter_context(peer.start(brokers.home() / peer.name.replace(" ", "-"), port))
        furnished = brokers.furnish(brokers.home() / "furnished")
        for name, settings in VARIANTS.items():
            folder = name.replace(",", "").replace(" ", "-")
            targets[name] = stack.enter_context(brokers.serve(furnished.copy(folder), port, **settings))
        taken = rounds.measure(targets, plans(), length, say)
    return {
        "servers": {name: {scene: row.as_json() for scene, row in scenes.items()} for name, scenes in taken.items()},
        "versions": {name: version for name, version in versions.items() if version},
        "skipped": skipped,
        "rounds": length.rounds,
        "seconds": length.seconds,
        "load_average": os.getloadavg()[1],
    }
