"""How one learns what work at a provider has come to, once its call was answered: where to ask, and what the answers say."""

from typing import NamedTuple, Protocol

from broker.core.extras import together
from broker.core.strict_json import JSONValue
from broker.core.usage import NO_USAGE, Usage
from broker.providers.client import Headers
from broker.providers.dialect import Kept


class Ended(NamedTuple):
    """What an answer says of work that has ended."""

    usage: Usage | None = None
    """None where it was not told, or cannot be true."""
    results: tuple[str, ...] = ()
    """Paths of files with a line for each request, whose usages together are that of the work."""
    ran: int = 0
    """How many of these lines must tell of a request that ran."""
    made: tuple[Kept, ...] = ()
    """What it left at the provider, which is whose the work is."""
    lines: tuple[JSONValue, ...] = ()
    """Those of them that the answer has itself."""
    is_sum: bool = False
    """Whether the usage is that of the results, of which there may be none."""


class Pursuit(Protocol):
    """Of one kind of work in one dialect."""

    headers: Headers
    """Those that each request has besides its key."""

    def path(self, remote_id: str) -> str:
        """Where a GET tells how it stands."""

    def cancel_path(self, remote_id: str) -> str:
        """Where a POST without a body asks for its end."""

    def ended(self, answer: JSONValue, remote_id: str) -> Ended | None:
        """None while it goes on."""

    def ran(self, line: JSONValue) -> tuple[Usage | None, bool] | None:
        """The usage of one request by its line, as an endpoint reads it; None of one that did not run."""


class Sum:
    """Adds up the usages of the lines; one that cannot be believed makes the sum none."""

    def __init__(self, most: int, most_input: int | None) -> None:
        self._most = most
        self._most_input = most_input
        self._total: Usage | None = NO_USAGE
        self.count = 0

    def add(self, usage: Usage | None) -> None:
        self.count += 1
        dearer = usage is not None and self._most_input is not None and usage.input_tokens > self._most_input
        if self._total is None or usage is None or usage.is_absurd() or dearer or self.count > self._most:
            self._total = None
        else:
            self._total = _added(self._total, usage)

    def of(self, ran: int) -> Usage | None:
        """None where it is not the sum of so many."""
        return self._total if self.count == ran else None


def _added(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_input_tokens + other.cached_input_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.cache_write_long_tokens + other.cache_write_long_tokens,
        together((one.extras, other.extras)),
    )
