"""Proofs that came a second time enter the audit trail: whoever showed them may have listened to the first."""

from broker.audit.record import SYSTEM, record
from broker.core.clock import Clock
from broker.core.errors import BrokerError
from broker.oauth.throttle import Throttle, Throttled
from broker.ops.log import logger
from broker.store.database import Database

MOST_A_MINUTE = 5
"""Of one grant or client, by each worker; any more are refused all the same, and written nowhere."""

_log = logger("oauth")


class Replays:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._each = Throttle(MOST_A_MINUTE, clock)

    async def note(self, object_id: str, jkt: str) -> None:
        """Of the grant whose token was shown beside, or of the client that asked; never in the way of the refusal."""
        try:
            self._each.admit(object_id)
            await self._db.write(lambda tx: record(tx, self._clock(), "proof.replayed", SYSTEM, object_id, jkt=jkt))
        except Throttled:
            return
        except BrokerError as error:
            _log.warning("replay_not_noted", object_id=object_id, detail=error.detail)
