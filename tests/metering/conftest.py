"""The world of the proxy's own tests, in which every provider has a key."""

from tests.proxy.conftest import connections, settings, waits, world

__all__ = ["connections", "settings", "waits", "world"]
