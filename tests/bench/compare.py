"""Broker beside others, in one run: calls a second, times, processor time a call."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from tests.bench import brokers, postgres, rounds
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

ON_POSTGRES: dict[str, dict[str, str]] = {
    POSTGRES: {},
    POSTGRES + TWO: {"BROKER_WORKERS": "2"},
}

NO_STREAMS = {"Portkey"}
"""Its release for Node fails on every stream ("TypeError: immutable")."""
PACED = {"direct", "nginx", "bare passthrough", "LiteLLM", FULL, FULL + TWO, NORMAL, POSTGRES, POSTGRES + TWO}
APART = {"bare passthrough", FULL}


def plans(*, quick: bool = False) -> list[Plan]:
    names = {peer.name for peer in OTHERS} | set(VARIANTS) | set(ON_POSTGRES)
    ours = {name for name in names if name.startswith("Broker")}
    if quick:
        return [Plan(scene, names) for scene in (rounds.ONE, rounds.MANY)]
    return [
        *(Plan(scene, names) for scene in (rounds.ONE, rounds.MANY, rounds.MOST)),
        Plan(rounds.STREAMS, names - NO_STREAMS),
        *(Plan(scene, PACED) for scene in (rounds.PACED_ONE, rounds.PACED_MANY)),
        *(Plan(scene, {"direct"} | ours) for scene in (rounds.SLOW_MANY, rounds.SLOW_MOST)),
        Plan(rounds.APART, APART),
    ]


def run(length: Length, say: Callable[[str], object], *, quick: bool = False) -> dict[str, Any]:
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
            targets[peer.name] = stack.enter_context(peer.start(brokers.home() / folder_of(peer.name), port))
        targets |= _on_sqlite(stack, port)
        if postgres.is_there():
            targets |= _on_postgres(stack, port)
        else:
            skipped[POSTGRES] = postgres.MISSING
            say(f"  skipped  {POSTGRES}: {postgres.MISSING}")
        taken = rounds.measure(targets, plans(quick=quick), length, say)
    return {
        "servers": {
            name: {scene: rounds.as_json(rows) for scene, rows in scenes.items()} for name, scenes in taken.items()
        },
        "versions": {name: version for name, version in versions.items() if version},
        "skipped": skipped,
        "rounds": length.rounds,
        "seconds": length.seconds,
        "load_average": os.getloadavg()[1],
    }


def _on_sqlite(stack: ExitStack, provider_port: int) -> dict[str, Target]:
    furnished = brokers.furnish(brokers.home() / "furnished")
    return {
        name: stack.enter_context(brokers.serve(furnished.copy(folder_of(name)), provider_port, **settings))
        for name, settings in VARIANTS.items()
    }


def _on_postgres(stack: ExitStack, provider_port: int) -> dict[str, Target]:
    """Both brokers on one database: that is what it is for."""
    url, roots = stack.enter_context(postgres.database(brokers.home() / "postgres"))
    settings = {"BROKER_DATABASE_URL": url}
    furnished = brokers.furnish(brokers.home() / "furnished-postgres", settings=settings)
    targets = {}
    for name, chosen in ON_POSTGRES.items():
        folder = furnished.copy(folder_of(name))
        target = stack.enter_context(brokers.serve(folder, provider_port, **settings, **chosen))
        targets[name] = replace(target, roots=(*target.roots, *roots))
    return targets


def folder_of(name: str) -> str:
    """What a server's folder is called."""
    return name.replace(",", "").replace(" ", "-")
