"""A small authorization server of real parts on a real database, a clock to turn, and a client to drive it with."""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import from_seconds
from broker.core.grant import GrantEvent
from broker.core.handle import new_id
from broker.oauth.asked_details import Catalogue
from broker.oauth.clients import Safeguards, register_client
from broker.oauth.code import make_code
from broker.oauth.server import AuthorizationServer
from broker.oauth.signing import Signer
from broker.oauth.user_code import UserCodes
from broker.settings import Settings
from broker.store import grants
from broker.store.database import Database
from broker.store.grant_tables import Access, AccessToken, Grant, GrantRequest, TokenFamily
from broker.store.tables import AuditEntry, Client, Credential, User
from broker.vault.vault import Vault

ISSUER = "http://127.0.0.1:8080"
CALLBACK = "https://notes.example/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED: list[dict[str, Any]] = [
    {
        "type": "ai_model_access",
        "provider": "openai",
        "models": ["gpt-4o-mini", "gpt-4o"],
        "actions": ["chat"],
        "budget": {"amount": "5.00", "currency": "USD"},
        "expires_in": 86_400,
    }
]
DAY = from_seconds(86_400)
SOLD = {
    "gpt-4o": ("openai",),
    "gpt-4o-mini": ("openai",),
    "claude-haiku-4-5": ("anthropic",),
    "llama": ("mine", "openai"),
}
USER_CODES = UserCodes(b"u" * 32)
CATALOGUE = Catalogue(
    knows=lambda name: name in ("openai", "anthropic", "mine"), sellers=lambda model: SOLD.get(model, ())
)


@dataclass
class TurnedClock:
    now: int = from_seconds(1_763_760_000)

    def __call__(self) -> int:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += int(seconds * 1_000_000)


@dataclass
class Registered:
    """A client as its developer holds it."""

    id: str
    secret: str | None

    def fields(self) -> dict[str, str]:
        return {"client_id": self.id} | ({} if self.secret is None else {"client_secret": self.secret})


@dataclass
class World:
    db: Database
    clock: TurnedClock
    settings: Settings
    vault: Vault
    signer: Signer
    server: AuthorizationServer
    http: httpx.AsyncClient
    user_id: str = ""
    credential_id: str = ""
    signed_in: bool = field(default=True)

    async def register(
        self,
        *,
        public: bool = True,
        redirect_uris: tuple[str, ...] = (CALLBACK,),
        safeguards: Safeguards | None = None,
    ) -> Registered:
        terms: dict[str, Any] = {
            "public": public,
            "redirect_uris": redirect_uris,
            "safeguards": safeguards or Safeguards(),
        }
        client, secret = await self.db.write(lambda tx: register_client(tx, self.clock(), "Acme Notes", **terms))
        return Registered(client.id, None if secret is None else secret.reveal())

    async def approve(self, request_id: str, *, days: int = 1, budget: int = 2_000_000) -> tuple[str, Grant]:
        """What the consent page will have done: a grant for the request, and its code."""

        async def work(tx: AsyncSession) -> tuple[str, Grant]:
            request = await tx.get(GrantRequest, request_id)
            assert request is not None
            now = self.clock()
            grant = await self.grant(tx, request.client_id, days=days, budget=budget)
            request.state, request.grant_id, request.decided_at = "approved", grant.id, now
            await tx.flush()
            code = await make_code(tx, self.vault, request, grant, now, self.settings)
            return code.reveal(), grant

        return await self.db.write(work)

    async def grant(self, tx: AsyncSession, client_id: str, *, days: int = 1, budget: int = 2_000_000) -> Grant:
        now = self.clock()
        grant = Grant(id=new_id("grt"), user_id=self.user_id, client_id=client_id, created_at=now, changed_at=now)
        tx.add(grant)
        await tx.flush()
        tx.add(
            Access(
                id=new_id("acc"),
                grant_id=grant.id,
                position=0,
                credential_id=self.credential_id,
                provider="openai",
                models='["gpt-4o-mini","gpt-4o"]',
                actions='["chat"]',
                budget=budget,
                ends_at=now + days * DAY,
                created_at=now,
            )
        )
        await tx.flush()
        return grant

    async def asked(self, client: Registered, **changes: str | None) -> str:
        """The id of a stored request, as the authorization endpoint makes it."""
        answer = await self.authorize(client, **changes)
        assert answer.status_code == 303, answer.text
        return urlsplit(answer.headers["location"]).path.rpartition("/")[2]

    async def authorize(self, client: Registered, **changes: str | None) -> httpx.Response:
        return await self.http.get("/oauth/authorize", params=ask(client, **changes))

    async def push(self, client: Registered, **changes: str | None) -> httpx.Response:
        return await self.http.post("/oauth/par", data=ask(client, **changes) | client.fields())

    async def code(self, client: Registered, **terms: int) -> tuple[str, Grant]:
        return await self.approve(await self.asked(client), **terms)

    async def exchange(self, client: Registered, code: str, /, **changes: str | None) -> httpx.Response:
        fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, **client.fields()}
        return await self.http.post("/oauth/token", data=present({**fields, **changes}))

    async def tokens(self, client: Registered, **terms: int) -> dict[str, Any]:
        code, _ = await self.code(client, **terms)
        answer = await self.exchange(client, code)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def refresh(self, client: Registered, token: str, /, **changes: str | None) -> httpx.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": token, **client.fields()}
        return await self.http.post("/oauth/token", data=present({**fields, **changes}))

    async def revoke(self, client: Registered, token: str, /, **changes: str | None) -> httpx.Response:
        return await self.http.post("/oauth/revoke", data=present({"token": token, **client.fields(), **changes}))

    async def is_live(self, access_token: str) -> bool:
        """Whether the rows behind a token still stand, as the proxy asks them."""
        claims = self.signer.verify_access_token(access_token, self.clock())

        async def work(tx: AsyncSession) -> bool:
            row = await tx.get(AccessToken, claims.jti)
            if row is None or row.revoked_at is not None:
                return False
            family = None if row.family_id is None else await tx.get(TokenFamily, row.family_id)
            return family is None or family.revoked_at is None

        return await self.db.read(work)

    async def audited(self) -> list[str]:
        async def work(tx: AsyncSession) -> list[str]:
            return list((await tx.exec(select(AuditEntry.event).order_by(col(AuditEntry.seq)))).all())

        return await self.db.read(work)

    async def end_grant(self, grant_id: str) -> None:
        async def work(tx: AsyncSession) -> bool:
            return await grants.move(tx, grant_id, GrantEvent.REVOKE, self.clock(), by="usr")

        assert await self.db.write(work)

    async def disable_user(self) -> None:
        async def work(tx: AsyncSession) -> None:
            user = await tx.get(User, self.user_id)
            assert user is not None
            user.disabled_at = self.clock()

        await self.db.write(work)


def ask(client: Registered, **changes: str | None) -> dict[str, str]:
    """The parameters of an authorization request; None takes one away."""
    fields: dict[str, str | None] = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": CALLBACK,
        "state": "s/1 &ü",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "authorization_details": json.dumps(ASKED),
    }
    return present({**fields, **changes})


def present(fields: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def sent_back(answer: httpx.Response) -> dict[str, str]:
    """The parameters of a redirect to the client."""
    assert answer.status_code == 303
    location = answer.headers["location"]
    assert location.startswith(CALLBACK + "?")
    return dict(parse_qsl(urlsplit(location).query, strict_parsing=True))


def narrowed(**members: object) -> str:
    return json.dumps([{"type": "ai_model_access", "provider": "openai", **members}])


def form(*pairs: tuple[str, str]) -> dict[str, Any]:
    """A form in which a name may stand twice."""
    return {
        "content": urlencode(pairs),
        "headers": {"content-type": "application/x-www-form-urlencoded"},
    }


async def people(tx: AsyncSession, now: int) -> tuple[str, str]:
    """A user and a key of theirs."""
    user = User(id="usr_1", pseudonym="p1", email="ana@example.test", role="user", password_hash="x", created_at=now)
    tx.add(user)
    await tx.flush()
    key = Credential(
        id="crd_1",
        user_id=user.id,
        provider="openai",
        name="Personal",
        sealed="v1.a.b",
        last_four="9xQ2",
        created_at=now,
    )
    tx.add(key)
    return user.id, key.id


async def stored_client(world: World, client_id: str) -> Client:
    async def work(tx: AsyncSession) -> Client:
        client = await tx.get(Client, client_id)
        assert client is not None
        return client

    return await world.db.read(work)
