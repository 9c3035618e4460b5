"""The proxy's world, to be attacked."""

from tests.proxy.conftest import connections, settings, waits, world

__all__ = ["connections", "settings", "waits", "world"]
