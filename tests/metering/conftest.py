"""The world of the proxy's own tests, in which every provider has a key."""

from tests.proxy.conftest import settings, waits, world

__all__ = ["settings", "waits", "world"]
