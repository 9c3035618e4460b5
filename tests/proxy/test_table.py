"""Every refusal of the proxy in every dialect: its status, its code, its type, its headers; and that it cost nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.proxy.refuse import STATUS
from broker.store.grant_tables import AccessToken
from broker.store.ledger_tables import Counter
from broker.store.tables import Credential
from tests.canary import leaks_in
from tests.fake_provider import head, whole
from tests.proxy.arrange import (
    KEY,
    Arrange,
    another_provider,
    answered_with,
    at_the_provider,
    beside_a_running_one,
    called,
    changed,
    moved,
    repeated,
    saying,
    second,
    silence,
    unknown_field,
)  # fmt: skip
from tests.proxy.dialects import SPEECHES, Speech, answer_any
from tests.proxy.world import Answered, World
from tests.stores import Store


@dataclass(frozen=True)
class Row:
    """A line of the contract; `types` are those of OpenAI, Anthropic and Google."""

    code: str
    status: int
    types: tuple[str, str, str]
    arrange: Arrange
    forwarded: int = 0
    spent: bool = False
    headers: tuple[tuple[str, str], ...] = ()


AUTHENTICATION = ("authentication_error", "authentication_error", "UNAUTHENTICATED")
PERMISSION = ("permission_error", "permission_error", "PERMISSION_DENIED")
BILLING = ("insufficient_quota", "billing_error", "FAILED_PRECONDITION")
RATE = ("rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED")
MISSING = ("invalid_request_error", "not_found_error", "NOT_FOUND")
INVALID = ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT")
CLASH = ("invalid_request_error", "invalid_request_error", "ABORTED")
SERVER = ("server_error", "api_error", "UNAVAILABLE")
NO_RETRY = (("x-should-retry", "false"),)


async def without_a_database(world: World, speech: Speech) -> Answered:
    token = await speech.token(world)
    STORES[0].take_down()
    return await speech.call(world, token)


STORES: list[Store] = []


@pytest.fixture(autouse=True)
def _store(page_store: Store) -> Iterator[None]:
    STORES[:] = [page_store]
    yield
    STORES.clear()


ROWS = {
    "no token": Row("invalid_token", 401, AUTHENTICATION, called(None)),
    "malformed token": Row("invalid_token", 401, AUTHENTICATION, called("a.b.c")),
    "unknown token": Row("invalid_token", 401, AUTHENTICATION, called("tok_unknown")),
    "expired token": Row("invalid_token", 401, AUTHENTICATION, changed(AccessToken, ends_at=...)),
    "revoked token": Row("invalid_token", 401, AUTHENTICATION, changed(AccessToken, revoked_at=...)),
    "revoked grant": Row("invalid_token", 401, AUTHENTICATION, moved(GrantEvent.REVOKE)),
    "provider not granted": Row("provider_not_granted", 403, PERMISSION, another_provider),
    "model not granted": Row("model_not_granted", 403, PERMISSION, called(limits={"models": '["other"]'})),
    "action not granted": Row("action_not_granted", 403, PERMISSION, called(limits={"actions": '["audio"]'})),
    "paused": Row("grant_paused", 403, PERMISSION, moved(GrantEvent.PAUSE), headers=NO_RETRY),
    "frozen": Row("grant_frozen", 403, PERMISSION, moved(GrantEvent.FREEZE), headers=NO_RETRY),
    "no bound": Row("not_boundable", 403, PERMISSION, unknown_field),
    "no money": Row("budget_exhausted", 402, BILLING, called(limits={"budget": 20})),
    "no requests": Row("requests_exhausted", 402, BILLING, second(max_requests=1), forwarded=1, spent=True),
    "too fast": Row("rate_limited", 429, RATE, second(requests_per_minute=1), forwarded=1, spent=True, headers=(("retry-after", "60"),)),
    "too many": Row(
        "too_many_concurrent", 429, RATE, beside_a_running_one({}, concurrent=1), forwarded=1, spent=True, headers=(("retry-after", "1"),),
    ),
    "repeated while it runs": Row("in_progress", 409, CLASH, beside_a_running_one(KEY), forwarded=1, spent=True, headers=(("retry-after", "1"),)),
    "repeated": Row("already_ran", 409, CLASH, repeated(), forwarded=1, spent=True, headers=NO_RETRY),
    "another under its key": Row("idempotency_mismatch", 422, INVALID, repeated(body={"a": 1}), forwarded=1, spent=True),
    "no such path": Row("not_found", 404, MISSING, called(path="")),
    "another method": Row("method_not_allowed", 405, MISSING, called(method="GET"), headers=(("allow", "POST"),)),
    "no object": Row("invalid_request", 400, INVALID, called(body=b"[]")),
    "too large": Row("too_large", 413, INVALID, called(headers={"content-length": "100000000000"})),
    "another media type": Row("unsupported_media_type", 415, INVALID, called(headers={"content-type": "text/plain"})),
    "no key": Row("provider_key_unavailable", 503, SERVER, changed(Credential, removed_at=..., sealed="")),
    "key refused": Row("provider_key_unavailable", 503, SERVER, at_the_provider(401), forwarded=1),
    "garbage": Row("provider_error", 502, SERVER, answered_with(head(200, "text/html", 3) + b"<a>"), forwarded=1, spent=True),
    "redirect": Row("provider_error", 502, SERVER, answered_with(whole({}, 302, "location: http://a.test")), forwarded=1, spent=True),
    "silence": Row("provider_timeout", 504, SERVER, silence, forwarded=1, spent=True),
    "no database": Row("unavailable", 503, SERVER, without_a_database, headers=(("retry-after", "1"),)),
}  # fmt: skip


@pytest.mark.parametrize("speech", [SPEECHES[name] for name in SPEECHES], ids=list(SPEECHES))
@pytest.mark.parametrize("name", ROWS)
async def test_a_refusal_says_what_it_is(world: World, speech: Speech, name: str) -> None:
    row, world.provider.script = ROWS[name], answer_any
    if name == "no such path":
        answered = await speech.call(world, await speech.token(world), path=speech.other_path)
    elif name == "another under its key":
        answered = await _another(world, speech)
    else:
        answered = await row.arrange(world, speech)
    error = speech.error_in(answered)
    assert (answered.status, answered.code) == (row.status, row.code)
    assert speech.type_of(error, row.status) == speech.kind_of(row.types)
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["x-request-id"] == answered.headers["request-id"]
    assert dict(row.headers).items() <= answered.headers.items()
    _check_challenge(answered)
    _check_figures(answered, error)
    assert len(world.provider.asked) == row.forwarded
    assert not leaks_in(answered.body + str(answered.headers).encode())
    if name != "no database":
        assert await _nothing_or_one(world) == int(row.spent)


async def _another(world: World, speech: Speech) -> Answered:
    other = speech.ask | (
        {"contents": [{"parts": [{"text": "Bye"}]}]} if speech.provider == "google" else {"temperature": 0}
    )
    return await repeated(body=other)(world, speech)


def _check_challenge(answered: Answered) -> None:
    challenge = answered.headers.get("www-authenticate", "")
    assert bool(challenge) == (answered.status == 401 or answered.code.endswith("_not_granted"))
    if challenge:
        assert 'resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource/proxy"' in challenge
    assert ('error="insufficient_scope"' in challenge) == answered.code.endswith("_not_granted")


def _check_figures(answered: Answered, error: dict[str, Any]) -> None:
    """What limits refused says what is left of them."""
    budget = answered.headers.get("aauth-budget", "")
    if answered.status == 402:
        assert budget.startswith(f"remaining={error['remaining']}, reserved={error['held']}, ")
        assert error["required"] >= 0
        assert error["manage_url"].startswith("http://127.0.0.1:8080/grants/grt_")
    if answered.status == 429:
        assert budget.startswith("remaining=")
    if answered.code == "rate_limited":
        assert answered.headers["ratelimit-policy"] == '"requests";q=1;w=60'
        assert answered.headers["ratelimit"] == '"requests";r=0;t=60'
    if answered.code == "already_ran":
        assert error["cost"] > 0


async def _nothing_or_one(world: World) -> int:
    """How many calls count, once all have ended."""
    rows = await world.at_rest()

    async def charged(tx: AsyncSession) -> int:
        counters = (await tx.exec(select(Counter))).all()
        return sum(counter.settled + counter.held for counter in counters if counter.measure == "requests")

    count = await world.db.read(charged)
    assert count == len([row for row in rows if row.state == "settled"])
    return count


def test_the_table_has_every_code() -> None:
    assert {row.code: row.status for row in ROWS.values()} | {"no_price": 403} == STATUS


async def test_a_model_without_a_price_says_so_in_every_dialect(world: World) -> None:
    for speech in SPEECHES.values():
        token = await speech.token(world, models='["mystery-1"]')
        path = speech.path.replace(speech.model, "mystery-1")
        body = speech.ask | ({} if speech.provider == "google" else {"model": "mystery-1"})
        answered = await speech.call(world, token, path=path, body=body)
        assert (answered.status, answered.code) == (403, "no_price")
        assert speech.type_of(speech.error_in(answered), 403) == speech.kind_of(PERMISSION)


ACCOUNTS = (
    "org-abc123def456", "proj_abc123def456", "0a1b2c3d-1111-2222-3333-444455556666", "projects/123456789",
    "project_number:123456789",
)  # fmt: skip


@pytest.mark.parametrize("speech", [SPEECHES[name] for name in SPEECHES], ids=list(SPEECHES))
async def test_a_providers_own_error_keeps_its_class_and_loses_its_account(world: World, speech: Speech) -> None:
    token = await speech.token(world)
    for status in (400, 403, 404, 429, 500, 503):
        own = speech.own_error(f"Not for {', '.join(ACCOUNTS)} today", status)
        world.provider.script = saying(
            whole(own, status, "retry-after: 7", "set-cookie: a=b", "openai-organization: o")
        )
        answered = await speech.call(world, token)
        expected = speech.own_error(f"Not for {', '.join(['[removed]'] * len(ACCOUNTS))} today", status)
        assert (answered.status, answered.json()) == (status, expected)
        assert answered.headers["retry-after"] == "7"
        assert not {"set-cookie", "openai-organization"} & answered.headers.keys()
        assert answered.headers["aauth-budget"].endswith("cost=0")
    assert {row.mark for row in await world.at_rest()} == {"not_run"}


@pytest.mark.parametrize("speech", [SPEECHES[name] for name in SPEECHES], ids=list(SPEECHES))
async def test_an_answer_says_what_is_left_and_what_it_cost(world: World, speech: Speech) -> None:
    world.provider.script = answer_any
    token = await speech.token(world, requests_per_minute=5)
    answered = await speech.call(world, token)
    [row] = await world.at_rest()
    left = 1_000_000 - row.cost
    assert answered.headers["aauth-budget"] == f'remaining={left}, reserved=0, unit="micro-usd", cost={row.cost}'
    streamed = await speech.call(world, token, streamed=True)
    held = next(each.hold for each in await world.at_rest() if each.streamed)
    assert streamed.headers["aauth-budget"] == f'remaining={left - held}, reserved={held}, unit="micro-usd"'
    for each, remaining in ((answered, 4), (streamed, 3)):
        assert each.headers["ratelimit-policy"] == '"requests";q=5;w=60'
        assert each.headers["ratelimit"] == f'"requests";r={remaining};t=60'
        assert each.headers["x-request-id"] == each.headers["request-id"]
