"""The proxy of real parts on a real database, a provider that answers as told, and an app that calls it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import from_seconds
from broker.core.handle import new_id
from broker.ledger.books import OwnBooks
from broker.ledger.limits import open_access
from broker.ledger.verify import verify
from broker.providers.client import ProviderClient, Waits
from broker.proxy.authenticate import Principal
from broker.proxy.lifecycle import ProxyService
from broker.store import changes
from broker.store.database import Database
from broker.store.grant_tables import Access, AccessToken, Grant
from broker.store.ledger_tables import Reservation
from broker.vault.vault import Vault
from tests.fake_provider import FakeProvider
from tests.proxy.people import People
from tests.turned_clock import TurnedClock

DAY = from_seconds(86_400)
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}


@dataclass
class Answered:
    """What the app got; `pieces` as they came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each piece came, by the loop's clock."""
    ended: bool = False
    """Whether it was said that nothing more comes."""

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Ours, in whatever shape; Google's own `code` is the status, and some have no error around it."""
        error = self.json().get("error", self.json())
        details = error.get("details")
        return str(details[0]["reason"] if details else error["code"])


@dataclass
class World:
    db: Database
    books: OwnBooks
    clock: TurnedClock
    vault: Vault
    service: ProxyService
    provider: FakeProvider
    client: ProviderClient
    people: People

    @property
    def user_id(self) -> str:
        return self.people.user_id

    @property
    def client_id(self) -> str:
        return self.people.client_id

    @property
    def credentials(self) -> dict[str, str]:
        """By provider."""
        return self.people.credentials

    @property
    def credential_id(self) -> str:
        return self.credentials["openai"]

    def loses_patience(self, *, first_byte: float = 60) -> None:
        """From now on a provider that has begun to answer may be silent for half a second."""
        self.client.waits = Waits(connect=10, first_byte=first_byte, silence=0.5)

    async def token(self, *, caps: dict[str, Any] | None = None, accesses: int = 1, **limits: Any) -> str:
        """A token for a new grant; the token's text is its jti, which the verifier of this world takes as it is."""

        async def work(tx: AsyncSession) -> str:
            now = self.clock()
            grant = Grant(
                id=new_id("grt"), user_id=self.user_id, client_id=self.client_id, created_at=now, changed_at=now
            )
            tx.add(grant)
            await tx.flush()
            ids = []
            for position in range(accesses):
                access = self._access(grant.id, position, limits)
                tx.add(access)
                await tx.flush()
                await open_access(tx, access, now)
                ids.append(access.id)
            jti = new_id("tok")
            stored = None if caps is None else json.dumps({ids[0]: caps})
            tx.add(
                AccessToken(
                    jti=jti, grant_id=grant.id, client_id=self.client_id, created_at=now, ends_at=now + DAY, caps=stored
                )
            )
            GRANT_OF[jti] = grant.id
            return jti

        return await self.db.write(work)

    def _access(self, grant_id: str, position: int, limits: dict[str, Any]) -> Access:
        now = self.clock()
        given: dict[str, Any] = {
            "models": '["gpt-4o-mini"]', "actions": '["chat"]', "budget": 1_000_000, "ends_at": now + DAY, "provider": "openai",
        }  # fmt: skip
        given |= limits
        return Access(
            id=new_id("acc"), grant_id=grant_id, position=position, credential_id=self.credentials[given["provider"]],
            created_at=now, **given,
        )  # fmt: skip

    async def call(
        self,
        token: str | None,
        body: object = None,
        *,
        path: str = "/proxy/openai/v1/chat/completions",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        more: tuple[tuple[str, str], ...] = (),
        leave_after: int | None = None,
    ) -> Answered:
        """One request by hand, a moment after the one before; `leave_after` pieces the app hangs up (0: before the first byte)."""
        self.clock.now += 1
        raw = body if isinstance(body, bytes) else json.dumps(ASK if body is None else body).encode()
        sent = {"content-type": "application/json", "content-length": str(len(raw))}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        sent |= headers or {}
        place, _, query = path.partition("?")
        scope = {
            "type": "http", "method": method, "path": place, "raw_path": place.encode(), "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in (*sent.items(), *more)],
        }  # fmt: skip
        answered, left = Answered(), asyncio.Event()
        if leave_after == 0:
            asyncio.get_running_loop().call_later(0.05, left.set)
        await self.service.app(scope, _receiver(raw, left), _sender(answered, left, leave_after))
        return answered

    async def at_rest(self) -> list[Reservation]:
        """Every call of the books, once none is held and what they learnt of their keys is written."""
        for _ in range(3_000):
            rows = await self.db.read(_reservations)
            if all(row.state != "held" for row in rows) and not self.service._marking:
                return rows
            await asyncio.sleep(0.01)
        raise AssertionError("a call is still held")

    async def change(self, work: Callable[[AsyncSession], Awaitable[object]]) -> None:
        async def both(tx: AsyncSession) -> None:
            await work(tx)
            await changes.bump(tx)

        await self.db.write(both)

    async def verified(self) -> str:
        return str(await verify(self.db))


def _receiver(raw: bytes, left: asyncio.Event) -> Any:
    pieces = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if pieces:
            return pieces.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    return receive


def _sender(answered: Answered, left: asyncio.Event, leave_after: int | None) -> Any:
    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            for name, value in message["headers"]:
                answered.headers[name.decode()] = ", ".join(
                    [*filter(None, [answered.headers.get(name.decode())]), value.decode()]
                )
            return
        answered.ended = not message.get("more_body", False)
        if message.get("body"):
            answered.pieces.append(message["body"])
            answered.times.append(asyncio.get_running_loop().time())
        if leave_after and len(answered.pieces) >= leave_after:
            left.set()
            await asyncio.sleep(0)

    return send


async def _reservations(tx: AsyncSession) -> list[Reservation]:
    """As they began; those of one instant come as the store has them."""
    return list((await tx.exec(select(Reservation).order_by(col(Reservation.admitted_at)))).all())


GRANT_OF: dict[str, str] = {}
"""jti → grant id: what a signed token would say."""

JKT_OF: dict[str, str] = {}
"""jti → the key that the token is bound to."""


def verify_by_name(token: str) -> Principal | None:
    if not token.startswith("tok_"):
        return None
    return Principal(token, GRANT_OF.get(token, "grt_none"), JKT_OF.get(token, ""))


@asynccontextmanager
async def running(service: ProxyService) -> AsyncIterator[None]:
    await service.start()
    try:
        yield
    finally:
        await service.stop()
