"""Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a call that an app repeats under one key runs once."""

from collections.abc import Iterable
from typing import NamedTuple

from broker.core.clock import DAY
from broker.core.errors import CallRefused
from broker.ledger.ask import Ask, IdempotencyKey
from broker.ledger.statements import IDEMPOTENCY_KEYS, MOVE_KEY, NEW_KEY
from broker.ledger.tally import Stale
from broker.store.steps import Steps

KEPT = DAY
"""How long a key of a call that ran stands for that call."""


class Taken(NamedTuple):
    """A key as it was found, with how its call stands; what was not there has no reservation."""

    body: str = ""
    reservation_id: str = ""
    taken_at: int = 0
    state: str = ""
    mark: str = ""
    status: int = 0
    cost: int = 0
    """Overrun included."""

    def is_free(self, now: int) -> bool:
        """A call that was not admitted has left nothing here, and one that did not run nothing that counts."""
        if self.state in ("held", "released"):
            return self.state == "released"
        return self.taken_at <= now - KEPT


_NOBODYS = Taken()


class Repeats:
    """The keys that one transaction judges: where no call has one, nothing is read and nothing written."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._found: dict[str, Taken] = {}
        self._taken: dict[str, tuple[IdempotencyKey, str]] = {}
        """Digest of a key → who takes it now, and with which reservation."""

    def load(self, asks: Iterable[Ask]) -> Steps[None]:
        digests = sorted({ask.key.digest for ask in asks if ask.key is not None})
        if digests:
            rows = yield IDEMPOTENCY_KEYS, [(digest,) for digest in digests]
            self._found = {digest: Taken(*row) for digest, *row in rows}

    def judge(self, key: IdempotencyKey) -> CallRefused | None:
        """None where the key is free."""
        if key.digest in self._taken:
            return _refused(key, self._taken[key.digest][0].body, None)
        found = self._found.get(key.digest, _NOBODYS)
        if found.is_free(self._now):
            return None
        return _refused(key, found.body, None if found.state == "held" else found)

    def take(self, key: IdempotencyKey, reservation_id: str) -> None:
        self._taken[key.digest] = key, reservation_id

    def write(self) -> Steps[None]:
        """Raises Stale where another one has taken a key since it was judged."""
        new, moved = [], []
        for digest, (key, reservation_id) in sorted(self._taken.items()):
            found = self._found.get(digest)
            if found is None:
                new.append((digest, key.body, reservation_id, self._now))
            else:
                moved.append((key.body, reservation_id, self._now, digest, found.reservation_id))
        for statement, rows in ((MOVE_KEY, moved), (NEW_KEY, new)):
            if rows and len((yield statement, rows)) != len(rows):
                raise Stale


def _refused(key: IdempotencyKey, body: str, ended: Taken | None) -> CallRefused:
    if key.body != body:
        return CallRefused("idempotency_mismatch", "This Idempotency-Key was used for another request.")
    if ended is None:
        words = "A request with this Idempotency-Key is still running."
        return CallRefused("in_progress", words, retry_after=1)
    words = "A request with this Idempotency-Key has run already. Its answer is not kept."
    extra: dict[str, int | str] = {"cost": ended.cost, "mark": ended.mark, "provider_status": ended.status}
    return CallRefused("already_ran", words, extra=extra)
