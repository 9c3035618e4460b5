"""One load at one server, and what it measured."""

import json
import os
import subprocess
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.processes import cpu_seconds
from tests.bench.programs import program

PATH = "/v1/chat/completions"

_shown: Counter[Path] = Counter()
"""How many of the tokens of a file were shown by loads: the next one goes on with the one after, so that many stay new for long."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to be measured: where it answers, and the roots of its process trees."""

    port: int
    roots: tuple[int, ...] = ()
    path: str = PATH
    head: tuple[str, ...] = ()
    tokens: Path | None = None
    """A bearer token a line, used in turn."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is asked: how many connections, and which answer the provider is to give."""

    name: str
    connections: int
    streamed: bool = False
    delay_ms: int = 0
    gap_ms: int = 0
    chunks: int = 100
    apart: bool = False
    """Head and body in two writes, as most clients do, the official SDKs among them."""

    def body(self) -> bytes:
        scene = f"scene:d{self.delay_ms},g{self.gap_ms},n{self.chunks}"
        content = f"Summarise these notes in one sentence, please. {scene}"
        messages = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": content}]
        asked: dict[str, Any] = {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 200}
        if self.streamed:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return json.dumps(asked, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Measured:
    """Times in milliseconds; `cpu_us` is what the server's processes used for one call."""

    rps: float
    p50: float
    p99: float
    first_p50: float
    first_p99: float
    cpu_us: float
    failed: int
    statuses: dict[str, int] = field(default_factory=dict)
    load_average: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def load(target: Target, scene: Scene, seconds: float, *, count: int | None = None) -> Measured:
    """Ends by itself after `seconds`, or after `count` calls; the answers that are under way then are waited for."""
    before = cpu_seconds(target.roots)
    told, _ = start(target, scene, seconds, count=count).communicate(timeout=seconds + 60)
    measured = read(json.loads(told), cpu_seconds(target.roots) - before)
    if target.tokens is not None:
        _shown[target.tokens] += sum(measured.statuses.values())
    return measured


def start(target: Target, scene: Scene, seconds: float, *, count: int | None = None) -> subprocess.Popen[bytes]:
    """A load that runs; it prints what it measured."""
    process = subprocess.Popen(_command(target, scene, seconds, count), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(scene.body())
    process.stdin.close()
    process.stdin = None
    return process


def _command(target: Target, scene: Scene, seconds: float, count: int | None) -> list[str]:
    command = [str(program("load")), "--port", str(target.port), "--connections", str(scene.connections)]
    command += ["--seconds", str(seconds), "--path", target.path]
    command += ["--tail", "data: [DONE]" if scene.streamed else "}"]
    command += ["--apart"] if scene.apart else []
    command += [word for line in target.head for word in ("--head", line)]
    command += ["--tokens", str(target.tokens), "--from", str(_shown[target.tokens])] if target.tokens else []
    return command + (["--count", str(count)] if count is not None else [])


def read(told: dict[str, Any], cpu: float) -> Measured:
    """From what the load says and the seconds of processor time that were used meanwhile."""
    whole, first = told["whole"], told["first"]
    statuses = {str(status): int(number) for status, number in told["statuses"].items()}
    answered = sum(statuses.values())
    failed = sum(number for status, number in statuses.items() if status != "200")
    return Measured(
        rps=told["good"] / told["seconds"] if told["seconds"] else 0.0,
        p50=whole.get("p50", 0) / 1000,
        p99=whole.get("p99", 0) / 1000,
        first_p50=first.get("p50", 0) / 1000,
        first_p99=first.get("p99", 0) / 1000,
        cpu_us=cpu * 1e6 / answered if answered else 0.0,
        failed=failed + told["incomplete"] + told["unanswered"],
        statuses=statuses,
        load_average=os.getloadavg()[0],
    )
