"""The world of the proxy's own tests, in which every provider has a key."""

from tests.proxy.conftest import client, connections, people, peopled, settings, waits, world

__all__ = ["client", "connections", "people", "peopled", "settings", "waits", "world"]
