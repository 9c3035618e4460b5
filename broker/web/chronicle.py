"""The history of a grant, read from its audit entries in plain words."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from broker.audit.record import OPERATOR, SYSTEM
from broker.store.tables import AuditEntry
from broker.web.lent import Lent

LEFT_OUT = ("token.issued", "token.refreshed", "token.exchanged")
"""What happens by itself, and often."""

_DONE = {
    "consent.approved": "Approved",
    "grant.added": "Given",
    "grant.limits_changed": "Limits changed",
    "grant.keys_changed": "Keys changed",
    "grant.key_wanted": "Only signed requests accepted",
    "grant.key_not_wanted": "Unsigned requests accepted again",
    "grant.paused": "Paused",
    "grant.resumed": "Resumed",
    "grant.frozen": "Stopped after a request that cost more than its upper bound",
    "grant.revoked": "Revoked",
    "token.revoked": "Token given back",
    "agent.revoked": "Agent revoked",
    "code.replayed": "A used sign-in code came again, so the tokens made with it were revoked",
    "device_code.replayed": "A used device code came again and was refused",
    "proof.replayed": "A signed request came a second time and was refused",
    "refresh_token.reused": "A used token came again, so all tokens of its line were revoked",
}

_AGAIN = {"more": "More approved", "less": "Less approved", "same": "Approved again"}


@dataclass(frozen=True, slots=True)
class Event:
    at: int
    what: str


def events(entries: Iterable[AuditEntry], lent: Lent, reader: str, instance: str) -> list[Event]:
    """`reader` is the pseudonym of whoever reads it: you."""
    return [Event(entry.at, _sentence(entry, lent, reader, instance)) for entry in entries]


def _sentence(entry: AuditEntry, lent: Lent, reader: str, instance: str) -> str:
    details = json.loads(entry.details)
    what = _DONE.get(entry.event) or entry.event.replace(".", " ").replace("_", " ").capitalize()
    if entry.event == "consent.approved":
        what = _AGAIN.get(details.get("effect"), what)
    who = {reader: " by you", OPERATOR: f" by {instance}", SYSTEM: "", lent.client.id: f" by {lent.name}"}
    changed = details.get("changes", "")
    return f"{what}{who.get(entry.actor, ' by somebody else')}" + (f": {changed}" if changed else "")
