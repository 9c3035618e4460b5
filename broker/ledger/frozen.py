"""What happens when a provider bills more than the bound: the grant is frozen, and the audit says why."""

from broker.audit.record import SYSTEM, Details, entry
from broker.ledger.settle import Held, Settled
from broker.ledger.statements import BUMP, FREEZE
from broker.store.steps import Steps


def freeze(reservation_id: str, held: Held, settled: Settled, now: int) -> Steps[None]:
    done = yield FREEZE, [(now, held.grant_id)]
    yield BUMP, [()]
    details: Details = {
        "reservation": reservation_id,
        "hold": held.hold,
        "overrun": settled.overrun,
        "provider": held.provider,
        "model": held.model,
    }
    # A grant that is over, or frozen already, is not frozen again; what it cost beyond its bound is told all the same.
    yield from entry(now, "grant.frozen" if done else "call.overrun", SYSTEM, held.grant_id, details)
