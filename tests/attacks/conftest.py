"""The proxy's world, to be attacked."""

from tests.proxy.conftest import settings, waits, world

__all__ = ["settings", "waits", "world"]
