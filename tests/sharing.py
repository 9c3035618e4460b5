"""Which tests share a worker: those that share something dear to start, and those that measure seconds."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

BROWSER = ("tests/journey/", "tests/demo/test_page.py")
SERVERS = ("tests/clients/", "tests/serve/", "tests/races/", "tests/attacks/", "tests/sdk/", "tests/demo/test_run.py")


class Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """By file, but for a browser that is started once, and for servers that are not to crowd each other out."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.startswith(BROWSER):
            return "browser"
        if path.startswith("tests/upstreams/"):
            return "upstreams"
        return "servers" if path.startswith(SERVERS) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    return Sharing(config, log)
