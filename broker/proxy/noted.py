"""Refused calls as their owner sees them: a row each, but never so many that refusing costs more than forwarding."""

import asyncio
from collections import OrderedDict

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE, Clock
from broker.core.errors import BrokerError, CallRefused
from broker.ops.log import logger
from broker.providers.dialect import Reading
from broker.proxy.authenticate import Principal
from broker.store import refusals
from broker.store.database import Database

log = logger("proxy")

MOST_A_MINUTE = 10
"""Rows a grant and cause; further refusals in the same minute are answered all the same and written nowhere."""

_REMEMBERED = 10_000
_SHOWN_MODEL = 100


class Noted:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str, int], int] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, principal: Principal, provider: str, reading: Reading, refusal: CallRefused) -> None:
        """Writes beside the answer, which does not wait for it."""
        if refusal.code in ("invalid_token", "unavailable") or not self._may_write(principal.grant_id, refusal.code):
            return
        task = asyncio.create_task(
            self._write(principal.grant_id, provider, reading.model[:_SHOWN_MODEL], refusal.code)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _may_write(self, grant_id: str, code: str) -> bool:
        key = (grant_id, code, self._clock() // MINUTE)
        self._counts[key] = self._counts.pop(key, 0) + 1
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return self._counts[key] <= MOST_A_MINUTE

    async def _write(self, grant_id: str, provider: str, model: str, code: str) -> None:
        async def work(tx: AsyncSession) -> None:
            await refusals.add(tx, grant_id=grant_id, at=self._clock(), provider=provider, model=model, code=code)

        try:
            await self._db.write(work)
        except BrokerError as error:
            log.warning("refusal.not_noted", detail=error.detail)
