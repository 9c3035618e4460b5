"""An access with several keys, and a provider that says of each what it is told to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.secret import Secret
from broker.store import spare_keys
from broker.store.grant_tables import Access
from broker.store.pool_tables import CallAttempt, Quarantine
from broker.vault.credentials import add_credential
from tests.fake_provider import Asked, completion, usage, whole
from tests.proxy.world import ASK, World

KEYS = ("sk-pool-a-0123456789", "sk-pool-b-0123456789", "sk-pool-c-0123456789")

LIMITED = {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
REFUSED = {"error": {"message": "Bad key.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}}
UNWELL = {"error": {"message": "Sorry.", "type": "server_error", "param": None, "code": None}}
GOOD = whole(completion(used=usage()))

Answers = dict[str, bytes]
"""By the key that was used, the whole answer."""


class Pool:
    """An access with three keys; `answers` says what their provider makes of each."""

    def __init__(self, world: World, answers: Answers) -> None:
        self.world = world
        self.answers = answers
        self.ids: list[str] = []
        self.token = ""
        world.provider.script = self._answer

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(self.answers.get(asked.header("authorization").removeprefix("Bearer "), GOOD))

    async def open(self, strategy: str = "priority") -> "Pool":
        async def work(tx: AsyncSession) -> None:
            for key in KEYS:
                row = await add_credential(
                    tx, self.world.vault, provider="openai", key=Secret(key), name=key[8], user_id=self.world.user_id,
                    now=self.world.clock(), by="x", state="working",
                )  # fmt: skip
                self.ids.append(row.id)
            await tx.flush()
            access = (await tx.exec(select(Access))).one()
            await spare_keys.lend(tx, access, self.ids, strategy)

        self.token = await self.world.token()
        await self.world.db.write(work)
        return self

    async def call(self, **more: Any) -> Any:
        return await self.world.call(self.token, ASK | more)

    def used(self) -> list[str]:
        return [asked.header("authorization")[15] for asked in self.world.provider.asked]

    async def resting(self) -> dict[str, tuple[str, int]]:
        rows = await self.world.db.read(quarantines)
        return {KEYS[self.ids.index(row.credential_id)][8]: (row.cause, row.until) for row in rows}

    async def attempts(self) -> list[tuple[str, int, str]]:
        rows = await self.world.db.read(_attempts)
        return [(KEYS[self.ids.index(row.credential_id)][8], row.status, row.outcome) for row in rows]

    def key_of(self, credential_id: str) -> str:
        return KEYS[self.ids.index(credential_id)][8]


async def quarantines(tx: AsyncSession) -> list[Quarantine]:
    return list((await tx.exec(select(Quarantine))).all())


async def _attempts(tx: AsyncSession) -> list[CallAttempt]:
    return list(
        (await tx.exec(select(CallAttempt).order_by(col(CallAttempt.reservation_id), col(CallAttempt.place)))).all()
    )


Open = Callable[..., Awaitable[Pool]]
