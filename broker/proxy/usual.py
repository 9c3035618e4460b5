"""Calls whose head came before: what it was found to say is kept, and such a call begins on the straight way."""

from collections.abc import Callable
from functools import partial

from starlette.types import Scope

from broker.ledger.judge import Demand
from broker.ledger.ready import Use
from broker.providers.client import Headers
from broker.providers.conversation import conversation_of
from broker.providers.dialect import Reading
from broker.proxy.asked import Asked, Complete, Usual
from broker.proxy.authenticate import TOKEN_HEADERS, Principal, Verify
from broker.proxy.exchange import Means
from broker.proxy.forward import Work, content_headers
from broker.proxy.large import VAST
from broker.proxy.read import parse_body
from broker.proxy.straight import Straight

KNOWN = "broker.known"
"""The extension of our own server that takes what begins the requests with this head, where it may be remembered."""

_PLAIN = frozenset(
    [
        *TOKEN_HEADERS, b"host", b"content-type", b"content-length", b"accept",
        b"accept-encoding", b"accept-language", b"user-agent", b"connection", b"anthropic-version", b"anthropic-beta",
    ]
)  # fmt: skip
"""Headers that ask nothing of us but what the reading of this head has settled; a head with any other is read each time."""
_OF_LIBRARIES = b"x-stainless-"

MOST_ALONE = 20_000
"""Uses of which it is kept that their calls go by one key."""


class UsualCalls:
    """Remembers heads, and begins calls by them."""

    def __init__(
        self, means: Means, verify: Verify, demand: Callable[[Work, int], Demand], complete: Complete, max_body: int
    ) -> None:
        self._means = means
        self._verify = verify
        self._demand = demand
        self._complete = complete
        self._max_body = max_body
        self._generation = 0
        self._alone: set[Use] = set()
        self.calls: set[Straight] = set()
        """Those that are on the straight way."""

    def forget(self) -> None:
        """What heads said may have changed: each is read again."""
        self._generation += 1
        self._alone.clear()

    def remember(self, scope: Scope, principal: Principal, work: Work, path: str) -> None:
        """What the complete way has found, where the server keeps such things."""
        keep = scope.get("extensions", {}).get(KNOWN)
        if keep is None or principal.jkt or work.provider.is_brought or scope["method"] != "POST":
            return
        if not _is_plain(scope["headers"]) or not _is_straight(work.reading, path):
            return
        provider, dialect, endpoint, reading, headers, *_ = work
        client = self._means.client
        whole, streamed = (
            client.start(
                provider.base_url + path, content_headers(work._replace(reading=reading._replace(streamed=streamed)))
            )
            for streamed in (False, True)
        )
        usual = Usual(self._generation, provider, dialect, endpoint, headers, path, whole, streamed, self._alone)
        keep(partial(self._begin, usual))

    def _begin(self, usual: Usual, token: bytes, raw: bytes, request: Asked) -> bool:
        """False for a call that has to be looked at more closely; then nothing was begun."""
        if usual.generation != self._generation or len(raw) >= min(VAST, self._max_body):
            return False
        if len(self._alone) > MOST_ALONE:
            self._alone.clear()
        try:
            principal = self._verify(token.decode())
            if principal is None or principal.jkt:
                return False  # the one that the head came with first was good, and bound to no key
            body = parse_body(raw)
            reading = usual.endpoint.read(body, len(raw), usual.provider, usual.path)
            if not _is_straight(reading, usual.path):
                return False
            work = Work(usual.provider, usual.dialect, usual.endpoint, reading, usual.headers)
            use = principal.jti, usual.provider.name, reading.model, reading.action
            demand = self._demand(work, 0 if use in self._alone else conversation_of(body, []))
            Straight(self._means, usual, principal, work, demand, request, self.calls, self._complete).begin()
        except Exception:  # whatever it is, the complete way meets it again, and has words for it
            return False
        return True


_LAST_PLAIN = Reading._fields.index("target")
_AS_USUAL = tuple(Reading._field_defaults.values())


def _is_straight(reading: Reading, path: str) -> bool:
    """JSON there, JSON or a stream back, with nothing of what a request may be besides."""
    return reading.target == path and reading[_LAST_PLAIN + 1 :] == _AS_USUAL


def _is_plain(headers: Headers) -> bool:
    """With one token: whoever has two is asked which."""
    shown = sum(name in TOKEN_HEADERS for name, _ in headers)
    return shown == 1 and all(name in _PLAIN or name.startswith(_OF_LIBRARIES) for name, _ in headers)
