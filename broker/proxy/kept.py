"""What is kept at providers: a grant may name what its own calls made, and nothing else there is."""

from collections.abc import Callable, Mapping

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND, Clock
from broker.core.errors import BrokerError, CallRefused
from broker.core.strict_json import JSONValue, dumps, loads
from broker.core.usage import Usage
from broker.ledger.judge import nothing_here
from broker.ledger.reserve import Reservation
from broker.ops.log import logger
from broker.providers import openai_search
from broker.providers.dialect import Kept, Listed, Reading
from broker.providers.images import DOCUMENT, PICTURE
from broker.proxy.authenticate import Principal
from broker.proxy.conversations import Turn, going_on
from broker.store import jobs, objects
from broker.store.database import Database
from broker.store.object_tables import ProviderJob, ProviderObject

log = logger("proxy")

_OTHER_MODEL = "What a response of another model comes to as input cannot be bounded here: previous_response_id."
_UNKNOWN = "What this response comes to as input is not known here: previous_response_id."


_UNHEARD = "What this answer comes to as sound is not known here: messages.audio."
_NO_PICTURE = "A file that is named here is no picture, so that its cost cannot be bounded."
_FIRST_PAUSE = {"response": 2 * SECOND, "batch": 30 * SECOND}


def forgetful(reading: Reading) -> Reading:
    """Of a person's own server, where nothing may be kept: ids of several servers could not be told apart.

    Raises CallRefused for what is about something that is kept.
    """
    if reading.wish:
        reading = reading._replace(wish="", kept=None, render_kept=None)
    if reading.names or reading.kept is not None or reading.lists is not None or reading.deletes:
        raise CallRefused("not_boundable", "What a server of one's own keeps cannot be asked for through this server.")
    return reading


class KeptObjects:
    """`hasten` tells whoever looks at what goes on that something has ended."""

    def __init__(self, db: Database, clock: Clock, base: str, hasten: Callable[[], object]) -> None:
        self._db = db
        self._clock = clock
        self._base = base
        self._hasten = hasten

    async def found(self, principal: Principal, provider: str, reading: Reading) -> tuple[Reading, str]:
        """The request with the bounds of what it names, and the credential it has to go with; raises CallRefused."""
        wanted = [objects.digest_of(provider, *name) for name in reading.names]
        now = self._clock()
        rows = await self._db.read(lambda tx: objects.load(tx, wanted, principal.grant_id, now))
        credentials = {row.credential_id for row in rows}
        if len(rows) != len(set(wanted)) or len(credentials) != 1:
            raise nothing_here()
        if reading.deletes and await self.hurry(wanted):
            raise CallRefused("in_progress", "What this is about still goes on, or is not booked yet.", retry_after=1)
        if reading.informed is not None:
            reading = reading.informed(loads(rows[0].facts.encode()))._replace(names=reading.names)
        elif reading.model and not reading.is_whole and not all(map(_has_bound, rows)):
            reading = reading._replace(unbounded=reading.unbounded or _NO_PICTURE)
        if reading.follows:
            reading = _following(reading, next(row for row in rows if row.kind == "response"))
        if reading.recalls:
            reading = _recalling(reading, {row.digest: row for row in rows}, provider)
        if reading.goes_into is not None:
            row = next(row for row in rows if row.kind == "conversation")
            reading = going_on(reading, reading.goes_into, row, now)
        return reading._replace(model=reading.model or rows[0].model), credentials.pop()

    def base_of(self, provider: str) -> str:
        return f"{self._base}/proxy/{provider}"

    def keeper(self, reservation: Reservation, provider: str, reading: Reading) -> "Keeper | None":
        """Of a call that may leave something at the provider, or take something away there."""
        keeps = reading.kept is not None and (not reading.wish or reservation.has_wish)
        keeps = keeps or reading.goes_into is not None
        changes = reading.lists is not None or reading.shown is not None
        if keeps or changes or reading.deletes or reading.ended is not None:
            return Keeper(self, reservation, provider, reading)
        return None

    def turn(self, reservation: Reservation, reading: Reading) -> Turn | None:
        into = reading.goes_into
        return None if into is None else Turn(self._db, reservation, reading, into)

    async def hurry(self, digests: list[str]) -> bool:
        """Has work looked at that somebody asks about; whether there is any that is not settled. Raises Unavailable."""
        now = self._clock()
        if not await self._db.read(lambda tx: jobs.are_open(tx, digests)):
            return False
        await self._db.write(lambda tx: jobs.hasten(tx, digests, now))
        self._hasten()
        return True

    async def own(self, reservation: Reservation, provider: str, listed: Listed, answer: JSONValue) -> JSONValue:
        """Of a list what this grant made; raises Unavailable."""
        data = answer.get(listed.under) if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or not isinstance(data, list):
            return answer
        digests = [_digest(provider, listed, each) for each in data]
        now = self._clock()
        wanted = [digest for digest in digests if digest]
        rows = await self._db.read(lambda tx: objects.load(tx, wanted, reservation.grant_id, now))
        known = {row.digest for row in rows}
        mine = [each for each, digest in zip(data, digests, strict=True) if digest in known]
        page = mine[: listed.most]
        if listed.under != "data":
            return {listed.under: page}
        ids = [each["id"] for each in page if isinstance(each, dict)]
        ends: dict[str, JSONValue] = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
        no_page: dict[str, JSONValue] = {"next_page": None} if "next_page" in answer else {}
        return answer | {"data": page, "has_more": len(mine) > len(page)} | ends | no_page

    async def keep(self, reservation: Reservation, provider: str, model: str, kept: Kept) -> bool:
        """Whether the hold stays for what goes on; raises Unavailable."""
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
            facts=kept.facts,
            created_at=now,
            ends_at=None if kept.ends_in is None else now + kept.ends_in * SECOND,
        )
        job = _job(reservation, made, kept) if kept.work else None

        async def work(tx: AsyncSession) -> bool:
            is_ours = await objects.keep(tx, made)
            await tx.flush()
            return job is not None and is_ours and await jobs.adopt(tx, job)

        return await self._db.write(work)

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
        self._turn = kept.turn(reservation, reading)
        self.goes_on = False
        """Whether the hold stays for work that goes on after this answer."""

    async def note(self, answer: JSONValue, usage: Usage | None) -> bool:
        """False where it could not be written down: then the app must not have the answer."""
        try:
            if self._reading.deletes:
                await self._kept.forget(self._reservation, self._provider, self._reading)
            if self._turn is not None and usage is not None:
                await self._turn.end(answer, usage)
            for made in self._made(answer, usage):
                self.goes_on = await self._kept.keep(self._reservation, self._provider, self._reading.model, made)
            if self._reading.ended is not None and self._reading.ended(answer):
                await self._kept.hurry([objects.digest_of(self._provider, *name) for name in self._reading.names])
        except BrokerError as error:
            log.warning("kept.not_noted", reservation=self._reservation.id, detail=error.detail)
            return False
        return True

    def _made(self, answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        kept = self._reading.kept
        wants = not self._reading.wish or self._reservation.has_wish
        return kept(answer, usage) if kept is not None and wants else ()

    async def shown(self, answer: JSONValue) -> bytes | None:
        """The answer as the app may see it, where that is not as it came; raises Unavailable."""
        reading, as_it_came = self._reading, answer
        if reading.lists is not None:
            answer = await self._kept.own(self._reservation, self._provider, reading.lists, answer)
        if reading.shown is not None:
            answer = reading.shown(answer, self._kept.base_of(self._provider))
        return None if answer is as_it_came else dumps(answer)


def _digest(provider: str, listed: Listed, item: JSONValue) -> str:
    found = item.get(listed.by) if isinstance(item, dict) else None
    return objects.digest_of(provider, listed.kind, found.rpartition("/")[2]) if isinstance(found, str) else ""


def _job(reservation: Reservation, made: ProviderObject, kept: Kept) -> ProviderJob:
    tiers, pause = reservation.price.tiers, _FIRST_PAUSE[made.kind]
    return ProviderJob(
        reservation_id=reservation.id,
        digest=made.digest,
        kind=made.kind,
        provider=made.provider,
        remote_id=kept.name.id,
        grant_id=made.grant_id,
        access_id=made.access_id,
        credential_id=made.credential_id,
        most=kept.work,
        most_input=tiers[1].start if reservation.price.is_batch and len(tiers) > 1 else None,
        created_at=made.created_at,
        due_at=made.created_at + pause,
        pause=pause,
    )


def _has_bound(row: ProviderObject) -> bool:
    """Whether it is known what it can come to as input."""
    return row.kind != "file" or loads(row.facts.encode()) in ({PICTURE: True}, {DOCUMENT: True})


def _following(reading: Reading, row: ProviderObject) -> Reading:
    """Each token of what it goes on from is input again; counted by another tokenizer there may be more of them."""
    if row.model != reading.model:
        return reading._replace(unbounded=reading.unbounded or _OTHER_MODEL)
    if row.tokens is None:
        return reading._replace(unbounded=reading.unbounded or _UNKNOWN)
    found = openai_search.going_on(reading, row.tokens, row.provider)
    return found or reading._replace(unbounded=reading.unbounded or _UNKNOWN)


def _recalling(reading: Reading, rows: Mapping[str, ProviderObject], provider: str) -> Reading:
    """Each is heard as often as it is named, at the price of sound."""
    said = [rows[objects.digest_of(provider, *name)] for name in reading.names if name.kind == "response"]
    if any(row.model != reading.model or row.tokens is None for row in said):
        return reading._replace(unbounded=reading.unbounded or _UNHEARD)
    tokens = sum(row.tokens or 0 for row in said)
    most = reading.most._replace(input_audio_tokens=reading.most.input_audio_tokens + tokens)
    return reading._replace(input_bound=reading.input_bound + tokens, most=most)
