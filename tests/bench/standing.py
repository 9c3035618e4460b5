"""What a server holds: memory of open streams, memory at rest, and how long it takes to be there."""

import json
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.bench import brokers
from tests.bench.compare import FULL, VARIANTS
from tests.bench.loading import Scene, Target, load
from tests.bench.peers import OTHERS
from tests.bench.processes import memory
from tests.bench.programs import provider

STREAMS = 1_000
_PACED = {"nginx", "bare passthrough"}
_OPENING_SECONDS = 25.0
HELD = Scene("held", STREAMS, streamed=True, gap_ms=1000, chunks=30)


def streams(say: Callable[[str], object]) -> dict[str, Any]:
    """Bytes that 1,000 open streams add to a warm server, by the stream; a piece a second comes on each."""
    taken: dict[str, dict[str, float]] = {}
    with provider() as port:
        furnished = brokers.furnish(brokers.home() / "furnished")
        starts = {peer.name: peer.start for peer in OTHERS if peer.name in _PACED and not peer.missing()}
        for name in (*starts, FULL):
            with ExitStack() as stack:
                target = stack.enter_context(
                    starts[name](brokers.home() / f"held-{name.replace(' ', '-')}", port)
                    if name in starts
                    else brokers.serve(furnished.copy("held-Broker"), port, **VARIANTS[FULL])
                )
                taken[name] = _hold(target, port)
            say(f"  {name:<28} {taken[name]['kilobytes']:6.1f} kB a stream, {taken[name]['open']:.0f} open")
    return {
        "kilobytes_a_stream": {name: row["kilobytes"] for name, row in taken.items()},
        "open": {name: row["open"] for name, row in taken.items()},
    }


def _hold(target: Target, provider_port: int) -> dict[str, float]:
    load(target, Scene("warm up", 32, streamed=True), 2)
    before, calls = memory(target.roots), _calls(provider_port)
    loading = threading.Thread(target=load, args=(target, HELD, 1), kwargs={"count": STREAMS})
    loading.start()
    until = time.monotonic() + _OPENING_SECONDS
    while _calls(provider_port) - calls < STREAMS and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(2)
    opened = _calls(provider_port) - calls
    added = memory(target.roots) - before
    loading.join()
    return {"open": opened, "kilobytes": added / 1000 / max(opened, 1)}


def _calls(port: int) -> int:
    asking = HTTPConnection("127.0.0.1", port, timeout=10)
    asking.request("GET", "/")
    told = json.loads(asking.getresponse().read())
    asking.close()
    return int(told["calls"])


def start(say: Callable[[str], object], times: int = 5) -> dict[str, Any]:
    """From the command to the first answered call of an app, and the memory of all its processes two seconds later."""
    each: list[dict[str, float]] = []
    with provider() as port:
        furnished = brokers.furnish(brokers.home() / "one", 1)
        token = furnished.tokens.read_text().strip()
        for _ in range(times):
            folder = furnished.copy("starting")
            begun = time.monotonic()
            with brokers.serve(folder, port) as target:
                _await_answer(target, token)
                seconds = time.monotonic() - begun
                time.sleep(2)
                each.append({"first_answer_seconds": seconds, "resting_megabytes": memory(target.roots) / 1e6})
            say("  {first_answer_seconds:.2f} s, {resting_megabytes:.0f} MB".format(**each[-1]))
    return {name: statistics.median(row[name] for row in each) for name in each[0]} | {"each": each}


def _await_answer(target: Target, token: str) -> None:
    head = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    body = Scene("first", 1).body()
    while True:
        with suppress(OSError, HTTPException):
            asking = HTTPConnection("127.0.0.1", target.port, timeout=10)
            asking.request("POST", target.path, body, head)
            answered = asking.getresponse()
            answered.read()
            asking.close()
            if answered.status == 200:
                return
        time.sleep(0.005)
