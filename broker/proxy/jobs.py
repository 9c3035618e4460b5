"""Work that goes on at providers after its call was answered: looked at now and then, and settled once when it has ended."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND, Clock
from broker.core.credential import SealedKey
from broker.core.errors import Unavailable
from broker.core.secret import Secret
from broker.core.strict_json import JSONValue, NotStrict, loads_answer
from broker.core.usage import Usage
from broker.ledger.books import Books
from broker.ledger.settle import Close, Ending
from broker.ops.log import logger
from broker.providers import anthropic, google, openai
from broker.providers.check import credential_headers
from broker.providers.client import Answer, Broken, NotReached, ProviderClient, TooLarge, Waits
from broker.providers.dialect import Kept
from broker.providers.pursuit import Ended, Pursuit, Sum
from broker.providers.registry import Provider, Registry
from broker.proxy.exchange import OpenKey
from broker.store import credentials, jobs, objects
from broker.store.database import Database
from broker.store.object_tables import ProviderJob, ProviderObject

log = logger("proxy")

AT_ONCE = 8
LONGEST_PAUSE = 300 * SECOND
LONGEST = {"response": 24 * 3600 * SECOND, "batch": 48 * 3600 * SECOND}
"""After that the bound is booked, whatever still goes on: a batch has a day at each provider."""
LONGEST_ANSWER = {"response": 4 * 1024 * 1024, "batch": 32 * 1024 * 1024}
"""A batch of Google's has its results in it."""
LONGEST_LINE = 16 * 1024 * 1024
_WAITS = Waits(connect=10, first_byte=60, silence=60)

PURSUITS: Mapping[tuple[str, str], Pursuit] = openai.PURSUITS | anthropic.PURSUITS | google.PURSUITS


class _Way(NamedTuple):
    """How one job's provider is asked."""

    provider: Provider
    key: Secret
    pursuit: Pursuit


class _Gone(Exception):
    """The provider knows nothing of it any more."""


class Jobs:
    def __init__(
        self, db: Database, books: Books, client: ProviderClient, registry: Registry, open_key: OpenKey, clock: Clock
    ) -> None:
        self.hastened = asyncio.Event()
        """Set when somebody saw that work has ended; then nobody waits for the next look."""
        self._db = db
        self._books = books
        self._client = client
        self._registry = registry
        self._open_key = open_key
        self._clock = clock

    async def tend(self) -> None:
        """Looks at what is due; each by one process, which nobody waits for if it dies."""
        found = await self._db.read(lambda tx: jobs.due(tx, self._clock(), AT_ONCE))
        told = await asyncio.gather(*(self._look(job) for job in found), return_exceptions=True)
        for job, error in zip(found, told, strict=True):
            if isinstance(error, BaseException):
                log.warning("job.waits", reservation=job.reservation_id, exc_info=error)

    async def _look(self, job: ProviderJob) -> None:
        if not await self._db.write(lambda tx: jobs.claim(tx, job, self._clock(), LONGEST_PAUSE)):
            return
        try:
            ending = await self._ending(job)
        except (NotReached, Broken, NotStrict, Unavailable) as error:
            log.info("job.not_told", reservation=job.reservation_id, detail=repr(error))
            ending = None
        except _Gone:
            ending = Ending("estimated", "broken")
        except Exception as error:  # whatever it is, the end of it all must come
            log.exception("job.broke", reservation=job.reservation_id, exc_info=error)
            ending = None
        if ending is None and job.created_at + LONGEST[job.kind] <= self._clock():
            ending = Ending("estimated", "timed_out")
        if ending is not None:
            await self._books.submit(Close(job.reservation_id, ending))
            await self._db.write(lambda tx: jobs.end(tx, job))

    async def _ending(self, job: ProviderJob) -> Ending | None:
        """None while it goes on, or while nobody can be asked."""
        way = await self._way(job)
        if way is None:
            return None
        path = way.pursuit.path(job.remote_id)
        ended = way.pursuit.ended(await self._asked(way, "GET", path, job.kind), job.remote_id)
        if ended is None:
            await self._end_if_taken_away(job, way)
            return None
        for kept in ended.made:
            await self._keep(_made(job, kept, self._clock()))
        usage = await self._sum(job, way, ended) if ended.is_sum else ended.usage
        return Ending("estimated" if usage is None else "reported", "ok", usage, 200)

    async def _keep(self, made: ProviderObject) -> None:
        await self._db.write(lambda tx: objects.keep(tx, made))

    async def _end_if_taken_away(self, job: ProviderJob, way: _Way) -> None:
        """What the person has taken away ends here, too, as far as the provider ends it."""
        now = self._clock()
        if job.cancelled_at is not None or await self._db.read(lambda tx: jobs.may_go_on(tx, job, now)):
            return
        await self._asked(way, "POST", way.pursuit.cancel_path(job.remote_id), job.kind)
        await self._db.write(lambda tx: jobs.cancelled(tx, job, now))

    async def _way(self, job: ProviderJob) -> _Way | None:
        provider = self._registry.get(job.provider)
        pursuit = None if provider is None else PURSUITS.get((provider.dialect, job.kind))
        row = await self._db.read(lambda tx: _sealed(tx, job.credential_id))
        key = row and self._open_key(row)
        provider = None if provider is None or row is None else provider.at(row.base_url)
        if provider is None or pursuit is None or key is None:
            return None
        return _Way(provider, key, pursuit)

    async def _asked(self, way: _Way, method: str, path: str, kind: str) -> JSONValue:
        answer = await self._sent(way, method, path)
        return loads_answer(await answer.whole(LONGEST_ANSWER[kind]))

    async def _sent(self, way: _Way, method: str, path: str) -> Answer:
        headers = [*way.pursuit.headers, *credential_headers(way.provider.dialect, way.key)]
        answer = await self._client.send(
            method, way.provider.base_url + path, headers, waits=_WAITS, brought=way.provider.is_brought
        )
        if answer.status == 200:
            return answer
        await answer.close()
        if answer.status == 404:
            raise _Gone
        raise Broken(f"status {answer.status}")

    async def _sum(self, job: ProviderJob, way: _Way, ended: Ended) -> Usage | None:
        total = Sum(job.most, job.most_input)
        for told in ended.lines:
            if (read := way.pursuit.ran(told)) is not None:
                total.add(read[0])
        for path in ended.results:
            answer = await self._sent(way, "GET", path)
            try:
                async for line in _lines(answer):
                    if (read := way.pursuit.ran(loads_answer(line))) is not None:
                        total.add(read[0])
            finally:
                await answer.close()
        return total.of(ended.ran)


def _made(job: ProviderJob, kept: Kept, now: int) -> ProviderObject:
    return ProviderObject(
        digest=objects.digest_of(job.provider, *kept.name),
        provider=job.provider,
        kind=kept.name.kind,
        grant_id=job.grant_id,
        access_id=job.access_id,
        credential_id=job.credential_id,
        model="",
        tokens=kept.tokens,
        created_at=now,
    )


async def _lines(answer: Answer) -> AsyncIterator[bytes]:
    pending = b""
    async for piece in answer.chunks():
        *whole, pending = (pending + piece).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
        if len(pending) > LONGEST_LINE:
            raise TooLarge("a line of the results is too long")
    if pending.strip():
        yield pending


async def _sealed(tx: AsyncSession, credential_id: str) -> SealedKey | None:
    row = await credentials.load(tx, credential_id)
    if row is None:
        return None
    return SealedKey(
        row.id, row.user_id, row.provider, row.source, row.sealed, row.version, row.state, row.removed_at,
        base_url=row.base_url,
    )  # fmt: skip
