"""Work in a process of its own, which takes with it what it needed of memory: what it only reads is copied by reading it."""

import json
import os
import sys
from collections.abc import Callable
from typing import Never

from broker.core.errors import BrokerError, CannotStart

_BROKE = "Broker could not start: what it does first was interrupted."


def apart(work: Callable[[], str]) -> str:
    """What it gives. To be called while the process has one thread; raises CannotStart in the words of what was raised there."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _do(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as line:
        told = line.read()
    os.waitpid(pid, 0)
    if not told:
        raise CannotStart(_BROKE)
    given, description, detail = json.loads(told)
    if given is None:
        raise CannotStart(description, detail=detail)
    return str(given)


def _do(work: Callable[[], str], line: int) -> Never:
    try:
        with os.fdopen(line, "wb") as whole:
            whole.write(json.dumps(_outcome(work)).encode())
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # What was registered to be done at the end is the parent's to do.
        os._exit(0)


def _outcome(work: Callable[[], str]) -> tuple[str | None, str, str]:
    try:
        return work(), "", ""
    except BrokerError as error:
        return None, error.description, error.detail
