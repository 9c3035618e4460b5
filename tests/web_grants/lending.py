"""Rows as other parts of the program leave them: people, keys, apps, grants, and calls on their books."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from itertools import count
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access as Element
from broker.core.access import Budget, RateLimit
from broker.core.clock import DAY, to_seconds
from broker.core.money import MicroUSD
from broker.core.secret import Secret
from broker.core.usage import Price, Rates, Tier
from broker.ledger.keys import dump_keys, money_key, requests_key
from broker.ledger.limits import load as load_counter
from broker.ledger.limits import open_access
from broker.store import granting, grants
from broker.store.database import Database
from broker.store.grant_tables import Access, AccessToken, ConsentReceipt, Grant
from broker.store.granting import Given
from broker.store.ledger_tables import Boot, Refusal, Reservation
from broker.store.tables import Client, Credential, User
from broker.vault.credentials import add_credential
from broker.vault.vault import Vault

KEY = Secret("sk-test-aaaaaaaaaaaaaaaa9f2A")
PRICE = Price("genai-prices", "0.2.3", (Tier(-1, Rates(400_000, 1_600_000, 100_000, 400_000, 800_000)),))


def at(*parts: int) -> int:
    """An instant from year, month, day, hour, minute in UTC."""
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type, misc]


def words(html: str) -> str:
    """What a page says, with a space between any two cells."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def element(now: int, **changed: Any) -> Element:
    """Five dollars of two OpenAI models for seven days."""
    terms: dict[str, Any] = {
        "provider": "openai",
        "models": ("gpt-4.1-mini", "text-embedding-3-small"),
        "actions": ("chat", "embeddings"),
        "budget": Budget(MicroUSD(5_000_000)),
        "max_requests": 1000,
        "rate_limit": RateLimit(requests_per_minute=30),
        "expires_at": to_seconds(now + 7 * DAY),
    }
    return Element(**(terms | changed))


@dataclass
class Lending:
    db: Database
    vault: Vault
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def id(self, prefix: str) -> str:
        return f"{prefix}_{next(self.numbers):022d}"

    async def user(self, name: str, now: int, role: str = "user", zone: str = "UTC") -> User:
        row = User(
            id=self.id("usr"),
            pseudonym=f"person_{name}",
            email=f"{name}@example.com",
            role=role,
            password_hash="-",
            zone=zone,
            created_at=now,
        )
        await self.add(row)
        return row

    async def client(self, name: str = "Acme Notes", **changed: Any) -> Client:
        values: dict[str, Any] = {
            "name": name,
            "public": 1,
            "redirect_uris": json.dumps(["https://acme.example/callback"]),
            "address": "https://acme.example",
            "verified": 1,
            "created_at": 1,
        }
        row = Client(id=self.id("cli"), **(values | changed))
        await self.add(row)
        return row

    async def key(
        self,
        user: User | None,
        now: int,
        name: str = "Personal",
        provider: str = "openai",
        key: Secret = KEY,
        base_url: str = "",
    ) -> Credential:
        async def work(tx: AsyncSession) -> Credential:
            return await add_credential(
                tx,
                self.vault,
                provider=provider,
                key=key,
                name=name,
                user_id=user.id if user else None,
                now=now,
                by="test",
                state="working",
                base_url=base_url,
            )

        return await self.db.write(work)

    async def grant(self, user: User, client: Client, now: int, *given: tuple[Credential, Element]) -> Grant:
        async def work(tx: AsyncSession) -> Grant:
            parts = [Given(credential.id, each) for credential, each in given]
            grant = await granting.create_grant(tx, user.id, client.id, "consent", parts, now)
            for access in await grants.load_accesses(tx, grant.id):
                await open_access(tx, access, now)
            return grant

        return await self.db.write(work)

    async def receipt(self, grant: Grant, at: int) -> ConsentReceipt:
        row = ConsentReceipt(
            id=self.id("rcp"),
            request_id=self.id("grq"),
            grant_id=grant.id,
            user_id=grant.user_id,
            client_id=grant.client_id,
            signed="e30.e30.AA",
            shown="Acme Notes wants to use your OpenAI key",
            created_at=at,
        )
        await self.add(row)
        return row

    async def accesses(self, grant: Grant) -> list[Access]:
        return await self.db.read(lambda tx: grants.load_accesses(tx, grant.id))

    async def call(self, grant: Grant, when: int, cost: int = 0, *, position: int = 0, **changed: Any) -> None:
        """A settled call with the books as settling leaves them; `state="held"` leaves it running."""
        access = (await self.accesses(grant))[position]

        async def work(tx: AsyncSession) -> None:
            keys = [money_key(access.id, access.budget_per, when), requests_key(access.id)]
            row = self._reservation(grant, access, when, cost, dump_keys(tuple(keys)), changed)
            if await tx.get(Boot, "boot") is None:
                tx.add(Boot(id="boot", started_at=1, lease_ends_at=2))
            tx.add(AccessToken(jti=row.jti, grant_id=grant.id, client_id=grant.client_id, created_at=1, ends_at=2))
            await tx.flush()
            await _hold_and_end(tx, row)
            for key in keys:
                counter = await load_counter(tx, key)
                if counter is None:
                    raise AssertionError(f"no counter {key}")
                amount = (row.hold if row.state == "held" else row.cost) if key.is_money() else 1
                if row.state == "held":
                    counter.held += amount
                elif row.state == "settled":
                    counter.settled += amount
                tx.add(counter)

        await self.db.write(work)

    async def refusal(self, grant: Grant, when: int, code: str, model: str = "gpt-4.1") -> None:
        row = Refusal(id=self.id("ref"), grant_id=grant.id, at=when, provider="openai", model=model, code=code)
        await self.add(row)

    def _reservation(
        self, grant: Grant, access: Access, when: int, cost: int, charged: str, changed: dict[str, Any]
    ) -> Reservation:
        held = changed.get("state") == "held"
        values: dict[str, Any] = {
            "model": "gpt-4.1-mini",
            "state": "settled",
            "mark": "" if held else "reported",
            "ended_at": None if held else when + 1,
            "hold": max(cost, 120_000),
            "input_tokens": 0 if held else 5120,
            "output_tokens": 0 if held else 410,
            "status": 0 if held else 200,
            "outcome": "" if held else "ok",
        }
        return Reservation(
            id=self.id("res"),
            grant_id=grant.id,
            access_id=access.id,
            jti=self.id("jti"),
            user_id=grant.user_id,
            credential_id=access.credential_id,
            provider=access.provider,
            action="chat",
            streamed=0,
            charged=charged,
            price=json.dumps(PRICE.to_dict()),
            input_bound=10_000,
            output_bound=1_000,
            rate_tokens=5530,
            boot_id="boot",
            admitted_at=when,
            cost=0 if held else cost,
            reached=1,
            **(values | changed),
        )

    async def add(self, row: object) -> None:
        async def work(tx: AsyncSession) -> None:
            tx.add(row)

        await self.db.write(work)


async def _hold_and_end(tx: AsyncSession, row: Reservation) -> None:
    """A call that has ended was held before: what it cost is noted when its row changes."""
    ending = {name: getattr(row, name) for name in ("state", "mark", "ended_at", "cost", "overrun")}
    tokens = {name: getattr(row, name) for name in ("input_tokens", "output_tokens")}
    for name in (*ending, *tokens):
        setattr(row, name, 0)
    row.state, row.mark, row.ended_at = "held", "", None
    tx.add(row)
    await tx.flush()
    for name, value in (ending | tokens).items():
        setattr(row, name, value)
    tx.add(row)
    await tx.flush()
