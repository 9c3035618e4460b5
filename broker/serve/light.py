"""The parent of workers that need nothing of it but to be kept: it leaves behind what it has imported for them.

Pages that a worker writes to after the fork are copied for it, and the first copy stays with the parent, which has no use for
it. So the same process, with its children, its lock and its socket, becomes a program that has read next to nothing.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from broker.ops import log
from broker.ops.folder import Lock
from broker.serve.birth import Born, program, send_home
from broker.serve.keeper import Charge, Keeper


def go_on(charge: Charge, brood: Sequence[Born], listening: socket.socket, lock: Lock) -> int:
    """Becomes that program; where this cannot be, keeps them as it is, and gives the exit status."""
    lines = [(born.pid, born.line.fileno()) for born in brood]
    held = [listening.fileno(), lock.descriptor, *(line for _, line in lines)]
    told = json.dumps([[*charge._replace(folder=str(charge.folder))], held[0], held[1], lines])  # type: ignore[arg-type]
    for descriptor in held:
        os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    sys.stderr.flush()
    with suppress(OSError):
        os.execv(sys.executable, [*program("broker.serve.light"), told])  # noqa: S606 - itself
    for descriptor in held:
        os.set_inheritable(descriptor, False)
    return asyncio.run(_keep(charge, list(brood), listening))


def main() -> None:
    """`python -m broker.serve.light TOLD`: by `go_on` alone, whose descriptors and children it has."""
    log.configure()
    (workers, folder, public_url, drain_seconds), listening, lock, lines = json.loads(sys.argv[1])
    for descriptor in (listening, lock, *(line for _, line in lines)):
        # A worker that is started later must hold neither the lock nor another's line.
        os.set_inheritable(descriptor, False)
    brood = [Born(pid, socket.socket(fileno=line)) for pid, line in lines]
    for born in brood:
        born.line.setblocking(False)
    charge = Charge(workers, Path(folder), public_url, drain_seconds)
    try:
        status = asyncio.run(_keep(charge, brood, socket.socket(fileno=listening)))
    finally:
        Lock(lock).release()
        send_home(brood)
    sys.exit(status)


async def _keep(charge: Charge, brood: list[Born], listening: socket.socket) -> int:
    return await Keeper(charge, brood, listening, None).run()


if __name__ == "__main__":
    main()
