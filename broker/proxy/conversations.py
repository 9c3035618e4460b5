"""A conversation at a provider takes one call at a time, so that it is known what it comes to before the next is let in."""

from broker.core.clock import MINUTE
from broker.core.errors import CallRefused, Unavailable
from broker.core.strict_json import JSONValue, dumps, loads
from broker.core.usage import Usage
from broker.ledger.reserve import Reservation
from broker.ledger.settle import Ending
from broker.ops.log import logger
from broker.prices.book import context_limit
from broker.providers import openai_search
from broker.providers.dialect import GoesInto, Reading
from broker.store import objects
from broker.store.database import Database
from broker.store.object_tables import ProviderObject

log = logger("proxy")

LONGEST_CALL = 60 * MINUTE
"""A call whose process died keeps others out for no longer than that; what it left is then not known."""

_UNKNOWN = "What this conversation comes to as input is not known here: conversation."


def going_on(reading: Reading, into: GoesInto, row: ProviderObject, now: int) -> Reading:
    """With all that is in the conversation as input; raises CallRefused while another call is in it."""
    if row.tokens is None and _began(row) + LONGEST_CALL > now:
        raise _is_taken()
    placed = into._replace(digest=row.digest, facts=row.facts, before=row.tokens)
    if not reading.model:
        return reading._replace(goes_into=placed)
    # By another model's tokenizer it may be more; but no model reads more than its context.
    known = row.tokens if row.model in ("", reading.model) else None
    found = [most for most in (known, context_limit(row.provider, reading.model)) if most is not None]
    if not found:
        return reading._replace(unbounded=reading.unbounded or _UNKNOWN)
    before = min(found)
    bounded = openai_search.going_on(reading, before, row.provider)
    if bounded is None:
        return reading._replace(unbounded=reading.unbounded or _UNKNOWN)
    return bounded._replace(goes_into=placed._replace(before=before))


class Turn:
    """One call's turn in a conversation, which is its own from before it is sent until it has ended."""

    def __init__(self, db: Database, reservation: Reservation, reading: Reading, into: GoesInto) -> None:
        self._db = db
        self._into = into
        self._model = reading.model
        self._grant_id = reservation.grant_id
        self._most_written = reservation.output_max if reading.model else 0
        self._mine = dumps({"by": reservation.id, "at": reservation.admitted_at}).decode()
        self._ended = dumps({"by": reservation.id}).decode()

    async def begin(self) -> None:
        """Raises CallRefused where another call came first, and Unavailable."""
        into = self._into
        came_first = await self._db.write(
            lambda tx: objects.begin(tx, into.digest, self._grant_id, into.facts, self._mine)
        )
        if not came_first:
            raise _is_taken()

    async def end(self, answer: JSONValue, usage: Usage) -> None:
        """With what the answer says that the conversation is now, else with the most that it can be; raises Unavailable."""
        told = self._into.comes_to(answer, usage) if self._into.comes_to else None
        await self._leave(self._ended, self._most if told is None else told, self._model)

    async def leave(self, ending: Ending) -> None:
        """However it ended; where that was said before, nothing is changed."""
        try:
            if ending.mark == "not_run":
                await self._leave(self._into.facts, self._into.before, "")
            else:
                await self._leave(self._ended, self._most, self._model)
        except Unavailable as error:
            log.warning("conversation.stays", detail=error.detail)

    @property
    def _most(self) -> int | None:
        before = self._into.before
        return None if before is None else before + self._into.added + self._most_written

    async def _leave(self, facts: str, tokens: int | None, model: str) -> None:
        digest = self._into.digest
        await self._db.write(lambda tx: objects.end(tx, digest, self._mine, facts, tokens, model))


def _began(row: ProviderObject) -> int:
    facts = loads(row.facts.encode())
    began = facts.get("at") if isinstance(facts, dict) else None
    return began if isinstance(began, int) else 0


def _is_taken() -> CallRefused:
    return CallRefused("in_progress", "Another request is being answered in this conversation.", retry_after=1)
