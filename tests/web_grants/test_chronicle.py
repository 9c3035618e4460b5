import pytest

from broker.core.grant import GrantState
from broker.store.grant_tables import Grant
from broker.store.tables import AuditEntry, Client
from broker.web.chronicle import events
from broker.web.lent import Lent
from broker.web.tags import Tag


def _lent() -> Lent:
    client = Client(id="cli_1", name="Acme Notes")
    return Lent(Grant(id="grt_1"), client, (), GrantState.ACTIVE, None, Tag("Active", "ok", 5))


@pytest.mark.parametrize(
    ("event", "actor", "details", "says"),
    [
        ("consent.approved", "person_ana", '{"effect":"new"}', "Approved by you"),
        ("consent.approved", "person_ana", '{"effect":"more"}', "More approved by you"),
        ("grant.added", "operator", "{}", "Given by Broker"),
        ("grant.paused", "person_eve", "{}", "Paused by somebody else"),
        ("grant.frozen", "system", "{}", "Stopped after a request that cost more than its upper bound"),
        ("token.revoked", "cli_1", "{}", "Token given back by Acme Notes"),
        (
            "grant.limits_changed",
            "person_ana",
            '{"changes":"End a → b","raised":true}',
            "Limits changed by you: End a → b",
        ),
        ("grant.something_new", "person_ana", "{}", "Grant something new by you"),
    ],
)
def test_an_audit_entry_is_said_in_plain_words(event: str, actor: str, details: str, says: str) -> None:
    entry = AuditEntry(seq=1, at=5, event=event, actor=actor, object_id="grt_1", details=details)
    (said,) = events([entry], _lent(), "person_ana", "Broker")
    assert (said.at, said.what) == (5, says)
