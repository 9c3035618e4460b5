"""The proxy's world, to be attacked."""

from tests.proxy.conftest import client, connections, people, peopled, settings, waits, world

__all__ = ["client", "connections", "people", "peopled", "settings", "waits", "world"]
