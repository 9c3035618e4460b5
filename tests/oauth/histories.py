"""An app, its person and the proxy, with what each of them knows, for histories that a test makes up."""

import json
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access as Element
from broker.core.clock import to_seconds
from broker.core.details import parse_details
from broker.core.errors import CallRefused
from broker.core.grant import GrantEvent
from broker.core.money import MicroUSD, parse_decimal, to_decimal
from broker.ledger.books import OwnBooks
from broker.ledger.lease import Lease
from broker.ledger.limits import change_limits
from broker.ledger.reserve import Reservation, Reserver
from broker.ledger.settle import Close
from broker.oauth.code import make_code
from broker.oauth.consent import Answer, approve, judge_answer, open_request
from broker.oauth.consent_case import Case, read_case
from broker.oauth.consent_terms import Policy, Terms, prefill
from broker.oauth.grant_types import TOKEN_EXCHANGE
from broker.oauth.token_exchange import ACCESS_TOKEN
from broker.store import grant_requests, grants
from broker.store.grant_tables import Access, Grant
from broker.store.tables import Credential, User
from tests.books.world import demand, reported
from tests.oauth.world import Registered, World

POLICY = Policy(MicroUSD(10**8), MicroUSD(5_000_000), 90 * 86_400, 86_400, "nobody")
LONG = 10**9
READ, WRITTEN = 3_000, 1_000
"""Tokens of one call: at most 5,000 micro-dollars at the price of the books' tests."""


@dataclass
class Token:
    """What the app holds: an access token by what its answer said, and how to renew it."""

    jti: str
    grant_id: str
    said: tuple[Element, ...]
    ends_at: int
    refresh: str
    family: int
    capped: bool
    """Whether it was narrowed; any other follows its grant, also to what its person gives later."""
    text: str
    spent: int = 0
    parent: "Token | None" = None
    """What it was made out of."""

    @property
    def line(self) -> "list[Token]":
        """Itself and all its parents."""
        return [self, *([] if self.parent is None else self.parent.line)]


@dataclass
class History:
    world: World
    client: Registered
    reserver: Reserver
    books: OwnBooks
    tokens: list[Token] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)
    """Families that were revoked; and grants, below."""
    ended: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    families: "count[int]" = field(default_factory=count)

    async def ask(self, wish: list[dict[str, Any]], action: str, grant_id: str) -> str | None:
        """The id of the request, or None where it was refused."""
        changes = {"authorization_details": json.dumps(wish), "grant_management_action": action or None}
        named = {"grant_id": grant_id} if action in ("merge", "replace") else {}
        answer = await self.world.authorize(self.client, **changes, **named)
        path = urlsplit(answer.headers["location"]).path
        return path.rpartition("/")[2] if path.startswith("/consent/") else None

    async def approve(self, request_id: str, share: int) -> tuple[str, Grant] | None:
        """The person gives so many tenths of the money that stands in the form; None where there is nothing to give."""

        async def work(tx: AsyncSession) -> tuple[str, Grant] | None:
            now, found = self.world.clock(), await grant_requests.load_with_client(tx, request_id)
            user = await tx.get(User, self.world.user_id)
            assert found is not None
            assert user is not None
            await open_request(tx, found[0], user, now, 600)
            case = await read_case(tx, *found, user, POLICY, now)
            terms = tuple(
                _lowered(offer_terms, share) for offer_terms in (prefill(offer, now) for offer in case.offers)
            )
            answer = Answer(terms, _kept(case))
            if judge_answer(case, answer, now) is not None:
                return None
            given = await approve(tx, case, answer, now)
            code = await make_code(tx, self.world.vault, found[0], given.grant, now, self.world.settings)
            return code.reveal(), given.grant

        return await self.world.db.write(work)

    async def exchange(self, code: str, narrowing: list[dict[str, Any]] | None) -> bool:
        return self._took(
            await self.world.exchange(self.client, code, **_details(narrowing)), next(self.families), narrowing
        )

    async def refresh(self, token: Token, narrowing: list[dict[str, Any]] | None) -> bool:
        answer = await self.world.refresh(self.client, token.refresh, **_details(narrowing))
        took = self._took(answer, token.family, narrowing)
        if took:
            for other in self.tokens:
                if other.family == token.family:
                    other.refresh = self.tokens[-1].refresh
        return took

    async def hand_down(self, token: Token, narrowing: list[dict[str, Any]] | None) -> bool:
        """The app makes a token for an agent, out of this one, which its access token of that answer is."""
        fields = {"grant_type": TOKEN_EXCHANGE, "subject_token": token.text, "subject_token_type": ACCESS_TOKEN}
        form = fields | self.client.fields() | _details(narrowing)
        answer = await self.world.http.post("/oauth/token", data=form)
        return self._took(answer, token.family, narrowing, parent=token)

    def _took(
        self,
        answer: httpx.Response,
        family: int,
        narrowing: list[dict[str, Any]] | None,
        *,
        parent: Token | None = None,
    ) -> bool:
        body = answer.json()
        if answer.status_code != 200:
            refusals = ["invalid_grant", "invalid_authorization_details", *(["invalid_request"] if parent else [])]
            assert body["error"] in refusals, body
            return False
        claims = self.world.signer.verify_access_token(body["access_token"], self.world.clock())
        said = parse_details(body["authorization_details"], "token")
        ends_at = to_seconds(self.world.clock()) + body["expires_in"]
        capped = narrowing is not None or parent is not None
        assert narrowing is None or len(said) == len(narrowing)
        assert all(any(_is_as_asked(one, asked) for one in said) for asked in narrowing or ())
        refresh = body["refresh_token"] if parent is None else parent.refresh
        text = body["access_token"]
        self.tokens.append(
            Token(claims.jti, body["grant_id"], said, ends_at, refresh, family, capped, text, parent=parent)
        )
        return True

    async def call(self, token: Token, provider: str, model: str, action: str) -> Reservation | None:
        """None where it was refused; else it is settled at all that it could cost."""
        asked = demand(provider=provider, model=model, action=action, input_bound=READ, own_output=WRITTEN)
        try:
            held = await self.reserver(token.jti, asked)
        except CallRefused:
            return None
        await self.books.submit(Close(held.id, reported(READ, WRITTEN)))
        for each in token.line:
            each.spent += held.hold
        return held

    async def lower(self, grant_id: str, **terms: Any) -> None:
        """What the person types on the page of the grant."""

        async def work(tx: AsyncSession) -> None:
            for row in await grants.load_accesses(tx, grant_id):
                for name, value in terms.items():
                    setattr(row, name, value)
                await tx.flush()
                await change_limits(tx, row, self.world.clock())

        await self.world.db.write(work)

    async def move(self, grant_id: str, event: GrantEvent) -> bool:
        return await self.world.db.write(lambda tx: grants.move(tx, grant_id, event, self.world.clock(), by="usr"))

    async def live(self, grant_id: str) -> list[Access]:
        now = self.world.clock()
        rows = await self.world.db.read(lambda tx: grants.load_accesses(tx, grant_id))
        return [row for row in rows if row.ends_at > now and row.ended_at is None]


async def begun(world: World) -> History:
    """Somebody with a key for each of two providers, and an app that has nothing yet."""

    async def work(tx: AsyncSession) -> None:
        seal: dict[str, Any] = {"name": "Other", "sealed": "v1.a.b", "last_four": "1234", "created_at": world.clock()}
        tx.add(Credential(id="crd_2", user_id=world.user_id, provider="anthropic", **seal))

    await world.db.write(work)
    books = OwnBooks(world.db, world.clock)
    lease = Lease(world.db, world.clock, lambda: world.clock() / 1_000_000, LONG)
    await lease.take()
    return History(world, await world.register(), Reserver(books, world.clock, lease), books)


def _is_as_asked(said: Element, asked: dict[str, Any]) -> bool:
    given = {"models": list(said.models), "actions": list(said.actions), "max_requests": said.max_requests}
    if said.provider != asked["provider"] or any(asked.get(name, value) != value for name, value in given.items()):
        return False
    return "budget" not in asked or (said.budget is not None and to_decimal(said.budget.amount) == _amount(asked))


def _amount(asked: dict[str, Any]) -> str:
    wanted = parse_decimal(asked["budget"]["amount"])
    assert wanted is not None
    return to_decimal(wanted)


def _details(narrowing: list[dict[str, Any]] | None) -> dict[str, str]:
    return {} if narrowing is None else {"authorization_details": json.dumps(narrowing)}


def _lowered(terms: Terms, share: int) -> Terms:
    return terms if terms.budget is None else replace(terms, budget=MicroUSD(max(terms.budget * share // 10, 10_000)))


def _kept(case: Case) -> frozenset[str]:
    return frozenset(row.id for row in case.others)
