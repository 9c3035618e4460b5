"""Imports of libraries that bring along what is not used here, and can do without it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(name: str) -> Iterator[None]:
    """Within it, a module that is not loaded yet is not there for whoever tries to import it."""
    if name in sys.modules:
        yield
        return
    # What the import system takes for "not to be found".
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
