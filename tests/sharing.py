"""Which tests share a worker: those that share something dear to start, and those that measure seconds."""

from collections import Counter

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

SHARED = {
    "races": ("tests/races/",),
    "serve": ("tests/serve/",),
    "servers": ("tests/sdk/", "tests/attacks/", "tests/clients/", "tests/demo/test_run.py"),
    "browser": ("tests/journey/", "tests/demo/test_page.py"),
    "upstreams": ("tests/upstreams/",),
}
"""What is handed out as one, longest first: a worker that began with it last would have all others wait for it."""


def group(nodeid: str) -> str:
    """By file, but for a browser that is started once, and for servers that are not to crowd each other out."""
    path = nodeid.partition("::")[0]
    return next((name for name, places in SHARED.items() if path.startswith(places)), path)


class Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out the groups as they were collected."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    return Sharing(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For workers: what takes longest begins first, so that the end finds all of them at work."""
    if not hasattr(config, "workerinput"):
        return
    size = Counter(group(item.nodeid) for item in items)
    rank = {name: place for place, name in enumerate(SHARED)}

    def place(item: pytest.Item) -> tuple[int, int, str]:
        name = group(item.nodeid)
        return rank.get(name, len(rank)), -size[name], name

    items.sort(key=place)
