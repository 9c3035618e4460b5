"""The proxy's world, to be attacked."""

from tests.proxy.conftest import waits, world

__all__ = ["waits", "world"]
