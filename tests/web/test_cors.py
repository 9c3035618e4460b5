"""What a page on another origin may read of the broker, endpoint by endpoint."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.app import App, create_app
from broker.core.clock import to_seconds
from broker.core.errors import Unavailable
from broker.oauth.clients import register_client
from broker.oauth.origins import Origins, origins_of
from broker.settings import Settings
from broker.store import clients
from broker.store.database import Database, sqlite_url
from broker.store.tables import Client
from tests.turned_clock import TurnedClock

ISSUER = "http://127.0.0.1:8080"
NOTES = "https://notes.example"
LOCAL = "http://127.0.0.1:5173"
OTHER = "https://other.example"
EVIL = "https://evil.example"
OPEN = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource/proxy",
    "/.well-known/jwks.json",
]
OPEN += ["/schemas/ai_model_access.json"]
POSTED = ["/oauth/token", "/oauth/par", "/oauth/revoke"]
CALLED = ["/proxy/openai/v1/models", "/proxy/openai/v1/chat/completions", "/proxy/status"]
STRANGERS = ["null", EVIL, f"{NOTES}.evil.example", "https://evil.example/notes.example", "http://notes.example", ""]
STRANGERS += [
    "https://notes.example:444",
    "HTTPS://NOTES.EXAMPLE",
    "https://notes.example/",
    "https://",
    "file://",
    "*",
]
STRANGERS += ["http://127.0.0.1:5174", "http://127.0.0.1", "https://notes_example", "https://%", "x" * 5_000]
CLOSED = [
    "/",
    "/oauth/authorize",
    "/sign-in",
    "/grants",
    "/consent/grq_1",
    "/keys",
    "/oauth/introspect",
    "/health/live",
]


@pytest.fixture
def settings(tmp_path: Path, migrated: Path) -> Settings:
    made = Settings(data_dir=tmp_path, issuer=ISSUER)
    made.database_file.write_bytes(migrated.read_bytes())
    return made


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    made = await create_app(settings, clock=TurnedClock(), environ={})
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
        yield client


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    made = Database(sqlite_url(settings.data_dir))
    yield made
    await made.close()


@pytest.fixture
async def ids(db: Database) -> tuple[str, str]:
    """Of an app at notes.example that may also call from this computer, and of one at other.example."""
    first = await add(db, (f"{NOTES}/callback", "http://127.0.0.1/callback"), (LOCAL,))
    second = await add(db, (f"{OTHER}/callback",), ())
    return first.id, second.id


async def add(db: Database, uris: tuple[str, ...], origins: tuple[str, ...]) -> Client:
    made, _ = await db.write(
        lambda tx: register_client(tx, 1, "Acme", public=True, redirect_uris=uris, origins=origins)
    )
    return made


async def ask_first(http: httpx.AsyncClient, path: str, origin: str, **more: str) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return await http.options(path, headers=headers | {name.replace("_", "-"): value for name, value in more.items()})


def lets(answer: httpx.Response) -> str | None:
    assert "access-control-allow-credentials" not in answer.headers
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


@pytest.mark.parametrize("path", OPEN)
async def test_anyone_may_read_what_is_public(http: httpx.AsyncClient, path: str) -> None:
    for origin in (NOTES, EVIL, "null"):
        assert lets(await http.get(path, headers={"origin": origin})) == "*"
        first = await ask_first(http, path, origin, access_control_request_headers="mcp-protocol-version")
        assert (first.status_code, lets(first)) == (204, "*")
        assert first.headers["access-control-allow-headers"] == "mcp-protocol-version"


@pytest.mark.parametrize("path", [*POSTED, *CALLED])
async def test_a_registered_page_may_send_and_read_also_why_it_was_refused(
    http: httpx.AsyncClient, ids: tuple[str, str], path: str
) -> None:
    for origin in (NOTES, LOCAL, OTHER):
        first = await ask_first(http, path, origin)
        assert (first.status_code, lets(first)) == (204, origin)
        assert "POST" in first.headers["access-control-allow-methods"]
        assert "Origin" in first.headers["vary"]
        answer = await http.post(path, headers={"origin": origin})
        assert answer.status_code >= 400
        assert lets(answer) == origin
        assert "Origin" in answer.headers["vary"]
        assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", STRANGERS)
async def test_every_other_page_reads_nothing(http: httpx.AsyncClient, ids: tuple[str, str], origin: str) -> None:
    for path in (*POSTED, *CALLED, "/oauth/grants/grt_1"):
        first = await ask_first(http, path, origin)
        assert lets(first) is None, path
        assert first.status_code != 204, path
        assert lets(await http.post(path, headers={"origin": origin})) is None, path


@pytest.mark.parametrize("path", CLOSED)
async def test_pages_are_read_from_no_other_origin(http: httpx.AsyncClient, ids: tuple[str, str], path: str) -> None:
    for origin in (NOTES, EVIL, "null", ISSUER):
        assert lets(await ask_first(http, path, origin)) is None
        assert lets(await http.get(path, headers={"origin": origin})) is None


@pytest.mark.parametrize("path", [*POSTED, *CALLED])
async def test_without_an_origin_nothing_is_said(http: httpx.AsyncClient, ids: tuple[str, str], path: str) -> None:
    answer = await http.post(path)
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_an_answer_to_one_client_is_not_for_another_ones_page(
    http: httpx.AsyncClient, ids: tuple[str, str]
) -> None:
    fields = {"client_id": ids[0], "grant_type": "authorization_code"}
    assert lets(await http.post("/oauth/token", data=fields, headers={"origin": NOTES})) == NOTES
    assert lets(await http.post("/oauth/token", data=fields, headers={"origin": OTHER})) is None


async def test_what_the_proxy_answers_is_for_pages_of_the_tokens_client(
    app: App, http: httpx.AsyncClient, ids: tuple[str, str]
) -> None:
    token = signed(app, ids[0])
    for headers in ({"authorization": f"Bearer {token}"}, {"x-api-key": token}):
        assert lets(await http.get(CALLED[0], headers=headers | {"origin": NOTES})) == NOTES
        assert lets(await http.get(CALLED[0], headers=headers | {"origin": OTHER})) is None


def signed(app: App, client_id: str) -> str:
    """A token of ours, of a grant that there is not."""
    signer, now = app._parts.signer, app._parts.clock()
    claims: dict[str, Any] = {"iss": signer.issuer, "aud": signer.resource, "sub": "s", "jti": "tok_1"}
    claims |= {"client_id": client_id, "grant_id": "grt_1", "iat": to_seconds(now), "exp": to_seconds(now) + 60}
    return signer.sign_access_token(claims, now=now, ends_at=now + 60_000_000)


async def test_two_origins_are_none(http: httpx.AsyncClient, ids: tuple[str, str]) -> None:
    answer = await http.post("/oauth/token", headers=[("origin", NOTES), ("origin", NOTES)])
    assert lets(answer) is None


async def test_only_headers_that_clients_need_may_be_sent(http: httpx.AsyncClient, ids: tuple[str, str]) -> None:
    asked = "Authorization, DPoP, X-Stainless-Lang,x-api-key, anthropic-version, cookie, x-forwarded-for, host, a b"
    first = await ask_first(http, CALLED[1], NOTES, access_control_request_headers=asked)
    assert (
        first.headers["access-control-allow-headers"]
        == "authorization, dpop, x-stainless-lang, x-api-key, anthropic-version"
    )
    many = ", ".join(f"x-stainless-{number}" for number in range(500))
    answer = await ask_first(http, CALLED[1], NOTES, access_control_request_headers=many)
    assert answer.headers.get("access-control-allow-headers", "").count(",") < 60


async def test_a_page_may_ask_soon_after_its_client_was_added_and_no_more_once_it_is_removed(
    app: App, http: httpx.AsyncClient, db: Database
) -> None:
    clock = app._parts.clock
    assert isinstance(clock, TurnedClock)
    assert lets(await ask_first(http, "/oauth/token", NOTES)) is None
    client = await add(db, (f"{NOTES}/callback",), ())
    clock.turn(3)
    assert lets(await ask_first(http, "/oauth/token", NOTES)) == NOTES
    await db.write(lambda tx: clients.remove(tx, client.id, 2))
    clock.turn(61)
    assert lets(await ask_first(http, "/oauth/token", NOTES)) is None


async def test_origins_are_remembered_until_something_changed(db: Database) -> None:
    clock = TurnedClock()
    origins = Origins(db, clock)
    client = await add(db, (f"{NOTES}/callback",), ())
    assert await origins.clients_at(NOTES) == {client.id}
    await db.write(lambda tx: clients.remove(tx, client.id, 2))
    assert await origins.clients_at(NOTES) == {client.id}
    await origins.forget()
    assert await origins.clients_at(NOTES) == frozenset()


async def test_a_crowd_of_unknown_origins_is_not_looked_up_for_ever(db: Database) -> None:
    origins = Origins(db, TurnedClock())
    await add(db, (f"{NOTES}/callback",), ())
    for number in range(200):
        assert await origins.clients_at(f"https://e{number}.example") == frozenset()
    assert await origins.clients_at(NOTES) == frozenset()
    assert len(origins._known) <= 50


async def test_while_the_store_does_not_answer_nobody_may(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    broken = Database(sqlite_url(tmp_path / "empty"))
    with pytest.raises(Unavailable):
        await broken.read(lambda tx: clients.with_text(tx, NOTES))
    assert await Origins(broken, TurnedClock()).clients_at(NOTES) == frozenset()
    await broken.close()


@pytest.mark.parametrize(
    ("uris", "origins", "expected"),
    [
        ((f"{NOTES}/cb", f"{NOTES}/other"), (), {NOTES}),
        (("https://Notes.Example:443/cb",), (), {NOTES}),
        (("https://notes.example:8443/cb",), (), {"https://notes.example:8443"}),
        (("http://127.0.0.1/cb", "com.example.app:/cb"), (), set()),
        (("http://localhost:3000/cb",), ("http://localhost:3000",), {"http://localhost:3000"}),
        (("https://notes.example?x=1",), ("http://[::1]:80",), {NOTES, "http://[::1]"}),
    ],
)
async def test_a_clients_pages_are_those_of_its_https_addresses_and_what_was_registered(
    db: Database, uris: tuple[str, ...], origins: tuple[str, ...], expected: set[str]
) -> None:
    client = await add(db, uris, origins)
    assert origins_of(client) == expected
    for origin in expected:
        assert await Origins(db, TurnedClock()).clients_at(origin) == {client.id}
