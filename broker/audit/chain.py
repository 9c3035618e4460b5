"""The chain that holds the audit trail together: the digest of each entry covers the one before it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from broker.core.errors import BrokerError


class Entry(NamedTuple):
    """One line of the trail; `seq` counts from 1 without a gap, `at` in microseconds, `details` as JSON text."""

    seq: int
    at: int
    event: str
    actor: str
    object_id: str
    details: str
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """How far a trail goes, and its last digest: kept elsewhere, it shows later that nothing before it was changed."""

    seq: int = 0
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"


class BadHead(BrokerError):
    """A text that is no head."""

    description = "A head is a number, a colon and 64 hexadecimal digits, as audit verify prints it."


def read_head(text: str) -> Head:
    """Raises BadHead."""
    seq, colon, digest = text.strip().partition(":")
    is_digest = len(digest) == 64 and not set(digest) - set("0123456789abcdef")
    if not (colon and seq.isascii() and seq.isdigit() and len(seq) < 19 and is_digest):
        raise BadHead
    return Head(int(seq), digest)


def next_entry(head: Head, at: int, event: str, actor: str, object_id: str, details: str) -> Entry:
    seq = head.seq + 1
    covered = json.dumps([head.digest, seq, at, event, actor, object_id, details], separators=(",", ":"))
    return Entry(seq, at, event, actor, object_id, details, sha256(covered.encode()).hexdigest())


def head_of(entry: Entry) -> Head:
    return Head(entry.seq, entry.digest)


@dataclass(slots=True)
class Walk:
    """Follows a trail from its beginning; `fault` is the first thing that does not hold."""

    head: Head = Head()
    wanted: Head | None = None
    """A head that was kept elsewhere and must stand in the trail."""
    fault: str = ""

    def follow(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if self.fault:
                return
            self._step(entry)

    def ended(self) -> str:
        """The first fault, once there are no more entries; empty where all of it holds."""
        wanted = self.wanted
        if not self.fault and wanted is not None and self.head.seq < wanted.seq:
            self.fault = f"Entry {wanted.seq} is missing: the trail ends at {self.head.seq}."
        return self.fault

    def _step(self, entry: Entry) -> None:
        if entry.seq != self.head.seq + 1:
            self.fault = f"Entry {self.head.seq + 1} is missing."
        elif entry != next_entry(self.head, *entry[1:-1]):
            self.fault = f"Entry {entry.seq} is not what was recorded, or one before it is not."
        elif self.wanted is not None and self.wanted.seq == entry.seq and self.wanted != head_of(entry):
            self.fault = f"Entry {entry.seq} is not the one whose digest was kept."
        self.head = head_of(entry)
