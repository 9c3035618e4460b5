"""The history of a grant, read from its audit entries in plain words."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from broker.audit.record import OPERATOR, SYSTEM
from broker.store.tables import AuditEntry
from broker.web.lent import Lent

_DONE = {
    "consent.approved": "Approved",
    "grant.approved": "Approved",
    "grant.created": "Approved",
    "grant.added": "Given",
    "grant.continued": "Approved again",
    "grant.narrowed": "Limits lowered",
    "grant.widened": "Limits raised",
    "grant.limits_changed": "Limits changed",
    "grant.paused": "Paused",
    "grant.resumed": "Resumed",
    "grant.frozen": "Stopped after a request that cost more than its bound",
    "grant.unfrozen": "Let go on",
    "grant.revoked": "Revoked",
    "grant.expired": "Ended",
    "family.revoked": "Sign-in of the app revoked",
}


@dataclass(frozen=True, slots=True)
class Event:
    at: int
    what: str


def events(entries: Iterable[AuditEntry], lent: Lent, reader: str, instance: str) -> list[Event]:
    """`reader` is the pseudonym of whoever reads it: you."""
    return [Event(entry.at, _sentence(entry, lent, reader, instance)) for entry in entries]


def _sentence(entry: AuditEntry, lent: Lent, reader: str, instance: str) -> str:
    what = _DONE.get(entry.event) or entry.event.replace(".", " ").replace("_", " ").capitalize()
    who = {reader: " by you", OPERATOR: f" by {instance}", SYSTEM: "", lent.client.id: f" by {lent.name}"}
    changed = json.loads(entry.details).get("changes", "")
    return f"{what}{who.get(entry.actor, ' by somebody else')}" + (f": {changed}" if changed else "")
