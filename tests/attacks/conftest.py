"""The proxy's world, to be attacked."""

from tests.proxy.conftest import client, connections, settings, waits, world

__all__ = ["client", "connections", "settings", "waits", "world"]
