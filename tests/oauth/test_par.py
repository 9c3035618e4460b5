"""Pushed authorization requests (RFC 9126)."""

import asyncio
from base64 import urlsafe_b64decode

import httpx
import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import clients
from broker.store.grant_tables import GrantRequest
from tests.oauth.world import Registered, World, ask, form, sent_back


async def follow(world: World, client_id: str, request_uri: str, **more: str) -> httpx.Response:
    fields = {"client_id": client_id, "request_uri": request_uri, **more}
    return await world.http.get("/oauth/authorize", params=fields)


async def pushed(world: World, client: Registered) -> str:
    answer = await world.push(client)
    assert answer.status_code == 201, answer.text
    assert answer.json()["expires_in"] == 90
    return str(answer.json()["request_uri"])


async def requests(world: World) -> list[GrantRequest]:
    async def work(tx: AsyncSession) -> list[GrantRequest]:
        return list((await tx.exec(select(GrantRequest))).all())

    return await world.db.read(work)


@pytest.mark.parametrize("public", [True, False])
async def test_a_pushed_request_leads_to_consent_and_a_reload_to_the_same(world: World, public: bool) -> None:
    client = await world.register(public=public)
    request_uri = await pushed(world, client)
    assert request_uri.startswith("urn:ietf:params:oauth:request_uri:")
    first = await follow(world, client.id, request_uri)
    assert first.headers["location"].startswith("/consent/grq_")
    world.clock.turn(120)
    assert (await follow(world, client.id, request_uri)).headers["location"] == first.headers["location"]


async def test_what_else_the_browser_brings_is_ignored(world: World) -> None:
    """RFC 9126 §4, and nothing of it can be tampered with on the way."""
    client = await world.register()
    request_uri = await pushed(world, client)
    answer = await follow(
        world, client.id, request_uri, redirect_uri="https://evil.example", authorization_details="[]"
    )
    assert answer.headers["location"].startswith("/consent/grq_")


async def test_an_unopened_request_ends_after_ninety_seconds(world: World) -> None:
    client = await world.register()
    request_uri = await pushed(world, client)
    world.clock.turn(90)
    answer = await follow(world, client.id, request_uri)
    assert (answer.status_code, answer.json()["reason"]) == (400, "request_uri has expired")


async def test_another_clients_request_is_unknown(world: World) -> None:
    client, thief = await world.register(), await world.register()
    request_uri = await pushed(world, client)
    assert (await follow(world, thief.id, request_uri)).status_code == 400


async def test_after_the_answer_it_leads_to_the_same_closed_request(world: World) -> None:
    """It is spent: whoever comes again sees what became of it, and nothing can be asked with it once more."""
    client = await world.register()
    request_uri = await pushed(world, client)
    place = (await follow(world, client.id, request_uri)).headers["location"]
    await world.approve(place.rpartition("/")[2])
    before = await requests(world)
    assert [row.state for row in before] == ["approved"]
    assert (await follow(world, client.id, request_uri)).headers["location"] == place
    assert [(row.id, row.state, row.ends_at) for row in await requests(world)] == [
        (row.id, row.state, row.ends_at) for row in before
    ]


async def test_each_has_a_name_of_its_own_that_cannot_be_guessed_and_is_stored_as_a_digest(world: World) -> None:
    """RFC 9126 §2.2: at least 128 bits."""
    client = await world.register()
    names = [await pushed(world, client) for _ in range(3)]
    assert len(set(names)) == 3
    assert all(len(urlsafe_b64decode(name.partition("par_")[2] + "=")) == 32 for name in names)
    stored = repr([dict(row) for row in await requests(world)])
    assert not any(name.rpartition(":")[2] in stored for name in names)


@pytest.mark.parametrize("request_uri", ["urn:ietf:params:oauth:request_uri:x", "https://169.254.169.254/", "x"])
async def test_a_request_uri_that_is_not_ours_is_refused(world: World, request_uri: str) -> None:
    client = await world.register()
    assert (await follow(world, client.id, request_uri)).status_code == 400


async def test_nothing_that_a_request_names_is_ever_fetched(world: World) -> None:
    """RFC 9126 §7.2, RFC 9101 §10.4.1."""
    visits: list[str] = []

    async def visited(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append("somebody came")
        writer.close()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = await world.register()
    for scheme in ("http", "https"):
        address = f"{scheme}://127.0.0.1:{port}/request.jwt"
        assert (await follow(world, client.id, address)).status_code == 400
        assert (await world.push(client, request_uri=address)).status_code == 400
        assert (await world.push(client, request=address)).json()["error"] == "request_not_supported"
        sent = sent_back(await world.authorize(client, request=address))
        assert sent["error"] == "request_not_supported"
    server.close()
    await server.wait_closed()
    assert visits == []


@pytest.mark.parametrize("signed", ["eyJhbGciOiJub25lIn0.e30.", "a.b.c.d.e", "x"])
async def test_a_request_object_is_not_supported_however_it_is_signed(world: World, signed: str) -> None:
    answer = await world.push(await world.register(), request=signed)
    assert (answer.status_code, answer.json()["error"]) == (400, "request_not_supported")


async def test_a_removed_clients_request_is_unknown(world: World) -> None:
    client = await world.register()
    request_uri = await pushed(world, client)
    assert await world.db.write(lambda tx: clients.remove(tx, client.id, world.clock()))
    assert (await follow(world, client.id, request_uri)).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example"}, "invalid_request"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"authorization_details": None}, "invalid_authorization_details"),
    ],
)
async def test_everything_is_checked_when_it_is_pushed(
    world: World, changes: dict[str, str | None], error: str
) -> None:
    answer = await world.push(await world.register(), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


async def test_a_member_is_named_as_it_is_written(world: World) -> None:
    missing = await world.push(await world.register(), authorization_details=None)
    assert missing.json()["error_description"] == "authorization_details is required."
    mistyped = await world.push(await world.register(), authorization_details="[{}]")
    assert mistyped.json()["error_description"] == "Type must be ai_model_access."


async def test_a_confidential_client_must_authenticate_to_push(world: World) -> None:
    client = await world.register(public=False)
    answer = await world.http.post("/oauth/par", data=ask(client))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_only_a_post_pushes(world: World) -> None:
    answer = await world.http.get("/oauth/par")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_more_pushed_requests_than_a_minute_allows_are_put_off(world: World) -> None:
    """RFC 9126 §2.3."""
    client = await world.register()
    for _ in range(world.settings.oauth_requests_a_minute):
        world.server.par.post.throttle.admit("127.0.0.1")
    answer = await world.push(client)
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_a_form_that_is_too_large_or_of_another_kind_is_refused(world: World) -> None:
    client = await world.register()
    large = await world.http.post("/oauth/par", **form(("client_id", client.id), ("state", "x" * 300_000)))
    assert (large.status_code, large.json()["error"]) == (413, "invalid_request")
    other = await world.http.post("/oauth/par", json=ask(client))
    assert (other.status_code, other.json()["error"]) == (400, "invalid_request")


async def test_a_parameter_that_stands_twice_is_refused(world: World) -> None:
    client = await world.register()
    pairs = [*ask(client).items(), ("state", "again")]
    answer = await world.http.post("/oauth/par", **form(*pairs))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
