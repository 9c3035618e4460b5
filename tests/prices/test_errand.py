"""The packaged lists as another process brings them."""

from collections.abc import Iterator

import pytest

from broker.prices import packaged, snapshot
from broker.prices.errand import Errand

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
"""Later Pythons warn of a fork beside threads; the process of the tests may have some, a server has none yet."""


@pytest.fixture
def unread() -> Iterator[None]:
    """As in a process that has looked up nothing yet."""
    for kept in (packaged._lists, packaged._listed):
        kept.cache_clear()
    yield
    packaged._given.clear()
    for kept in (packaged._lists, packaged._listed):
        kept.cache_clear()


def test_it_brings_what_this_process_would_have_read(unread: None) -> None:
    errand = Errand()
    errand.done()
    assert packaged._given == [snapshot.read()]
    assert packaged.output_limit("openai", "gpt-4o") == 16_384
    assert "gpt-4o" in packaged.models("openai")


def test_what_it_could_not_read_is_read_here(unread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bytes:
        raise ValueError

    with monkeypatch.context() as while_it_starts:
        while_it_starts.setattr(snapshot, "read", broken)
        errand = Errand()
    errand.done()
    assert packaged._given == []
    assert "gpt-4o" in packaged.models("openai")
