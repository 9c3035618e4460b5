"""What is kept at providers: a grant may name what its own calls made, and nothing else there is."""

from broker.core.clock import SECOND, Clock
from broker.core.errors import BrokerError
from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.ledger.judge import nothing_here
from broker.ledger.reserve import Reservation
from broker.ops.log import logger
from broker.providers.dialect import Kept, Reading
from broker.proxy.authenticate import Principal
from broker.store import objects
from broker.store.database import Database
from broker.store.object_tables import ProviderObject

log = logger("proxy")

_OTHER_MODEL = "What a response of another model comes to as input cannot be bounded here: previous_response_id."
_UNKNOWN = "What this response comes to as input is not known here: previous_response_id."


class KeptObjects:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def found(self, principal: Principal, provider: str, reading: Reading) -> tuple[Reading, str]:
        """The request with the bounds of what it names, and the credential it has to go with; raises CallRefused."""
        wanted = [objects.digest_of(provider, *name) for name in reading.names]
        now = self._clock()
        rows = await self._db.read(lambda tx: objects.load(tx, wanted, principal.grant_id, now))
        credentials = {row.credential_id for row in rows}
        if len(rows) != len(set(wanted)) or len(credentials) != 1:
            raise nothing_here()
        if reading.follows:
            reading = _following(reading, rows[0])
        return reading._replace(model=reading.model or rows[0].model), credentials.pop()

    def keeper(self, reservation: Reservation, provider: str, reading: Reading) -> "Keeper | None":
        """Of a call that may leave something at the provider, or take something away there."""
        keeps = reading.kept is not None and (not reading.wish or reservation.has_wish)
        return Keeper(self, reservation, provider, reading) if keeps or reading.deletes else None

    async def keep(self, reservation: Reservation, provider: str, model: str, kept: Kept) -> None:
        """Raises Unavailable."""
        now = self._clock()
        made = ProviderObject(
            digest=objects.digest_of(provider, *kept.name),
            provider=provider,
            kind=kept.name.kind,
            grant_id=reservation.grant_id,
            access_id=reservation.access_id,
            credential_id=reservation.credential.id,
            model=model,
            tokens=kept.tokens,
            created_at=now,
            ends_at=None if kept.ends_in is None else now + kept.ends_in * SECOND,
        )
        await self._db.write(lambda tx: objects.keep(tx, made))

    async def forget(self, reservation: Reservation, provider: str, reading: Reading) -> None:
        """Raises Unavailable."""
        gone = [objects.digest_of(provider, *name) for name in reading.names]
        await self._db.write(lambda tx: objects.forget(tx, gone, reservation.grant_id))


class Keeper:
    """Writes down what one call leaves at its provider, before the app learns of it."""

    def __init__(self, kept: KeptObjects, reservation: Reservation, provider: str, reading: Reading) -> None:
        self._kept = kept
        self._reservation = reservation
        self._provider = provider
        self._reading = reading

    async def note(self, answer: JSONValue, usage: Usage | None) -> bool:
        """False where it could not be written down: then the app must not have the answer."""
        try:
            if self._reading.deletes:
                await self._kept.forget(self._reservation, self._provider, self._reading)
            made = self._reading.kept and self._reading.kept(answer, usage)
            if made:
                await self._kept.keep(self._reservation, self._provider, self._reading.model, made)
        except BrokerError as error:
            log.warning("kept.not_noted", reservation=self._reservation.id, detail=error.detail)
            return False
        return True


def _following(reading: Reading, row: ProviderObject) -> Reading:
    """Each token of what it goes on from is input again; counted by another tokenizer there may be more of them."""
    if row.model != reading.model:
        return reading._replace(unbounded=reading.unbounded or _OTHER_MODEL)
    if row.tokens is None:
        return reading._replace(unbounded=reading.unbounded or _UNKNOWN)
    return reading._replace(input_bound=reading.input_bound + row.tokens)
