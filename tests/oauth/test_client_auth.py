"""Which client is calling."""

from base64 import b64encode
from urllib.parse import quote_plus

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import Client
from tests.oauth.signing_client import SigningClient, is_refused
from tests.oauth.world import VERIFIER, Registered, World, form, stored_client
from tests.stores import Store


def basic(name: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()}


async def exchange(
    world: World, client: Registered, headers: dict[str, str] | None = None, **fields: str
) -> httpx.Response:
    code, _ = await world.code(client)
    body = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, **fields}
    return await world.http.post("/oauth/token", data=body, headers=headers or {})


async def confidential(world: World) -> tuple[Registered, str]:
    client = await world.register(public=False)
    assert client.secret is not None
    return client, client.secret


async def test_a_secret_is_taken_from_the_body_or_from_the_header(world: World) -> None:
    client, secret = await confidential(world)
    by_post = await exchange(world, client, client_id=client.id, client_secret=secret)
    by_basic = await exchange(world, client, basic(client.id, secret))
    also_named = await exchange(world, client, basic(client.id, secret), client_id=client.id)
    assert (by_post.status_code, by_basic.status_code, also_named.status_code) == (200, 200, 200)


async def test_every_failure_is_answered_alike(world: World) -> None:
    """No answer says whether the client exists."""
    client, secret = await confidential(world)
    public = await world.register(public=True)
    answers = [
        await exchange(world, client, client_id=client.id),
        await exchange(world, client, client_id=client.id, client_secret=secret + "x"),
        await exchange(world, client, client_id="cli_unknown", client_secret=secret),
        await exchange(world, client, client_id="cli_unknown"),
        await exchange(world, client),
        await exchange(world, public, client_id=public.id, client_secret="anything"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert not any("www-authenticate" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer abc",
        "Basic",
        "Basic !!!",
        "Basic " + b64encode(b"no colon").decode(),
        "Basic " + b64encode(b"\xff:x").decode(),
    ],
)
async def test_a_header_that_does_not_authenticate_is_challenged(world: World, header: str) -> None:
    client, _ = await confidential(world)
    answer = await exchange(world, client, {"authorization": header}, client_id=client.id)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


async def test_a_header_for_another_client_than_the_body_names_is_refused(world: World) -> None:
    client, secret = await confidential(world)
    other = await world.register(public=True)
    answer = await exchange(world, client, basic(client.id, secret), client_id=other.id)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_two_ways_at_once_are_refused(world: World) -> None:
    client, secret = await confidential(world)
    answer = await exchange(world, client, basic(client.id, secret), client_secret=secret)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("registered", "by_basic", "by_post"),
    [("client_secret", 200, 200), ("client_secret_basic", 200, 401), ("client_secret_post", 401, 200)],
)
async def test_a_client_that_registered_one_way_uses_no_other(
    world: World, registered: str, by_basic: int, by_post: int
) -> None:
    """RFC 7591 §2: token_endpoint_auth_method."""
    client, secret = await confidential(world)
    await set_method(world, client.id, registered)
    assert (await exchange(world, client, basic(client.id, secret))).status_code == by_basic
    by_form = await exchange(world, client, client_id=client.id, client_secret=secret)
    assert by_form.status_code == by_post
    assert (await exchange(world, client, client_id=client.id)).status_code == 401


async def test_a_public_client_may_name_itself_in_the_header_without_a_secret(world: World) -> None:
    public = await world.register(public=True)
    assert (await exchange(world, public, basic(public.id, ""))).status_code == 200
    assert (await exchange(world, public, basic(public.id, "x"))).status_code == 401


@pytest.mark.parametrize("name", ["cli_\x00", "\x00", "cli_\n", "cli_ü", "cli_\u202e"])
async def test_a_name_that_no_client_can_have_is_refused_like_any_other(world: World, name: str) -> None:
    """PostgreSQL takes no NUL, and would answer with an error of its own."""
    client, secret = await confidential(world)
    assert (await exchange(world, client, basic(name, secret))).status_code == 401
    posing = SigningClient(name, None, world.clock)
    assert is_refused(await world.http.post("/oauth/revoke", data={"token": "x"} | posing.fields()))


async def set_method(world: World, client_id: str, method: str) -> None:
    async def work(tx: AsyncSession) -> None:
        client = await tx.get(Client, client_id)
        assert client is not None
        client.auth_method = method

    await world.db.write(work)


async def test_a_secret_in_the_address_is_not_looked_at(world: World) -> None:
    client, secret = await confidential(world)
    address = f"/oauth/token?client_id={client.id}&client_secret={secret}"
    answer = await world.http.post(address, **form(("grant_type", "authorization_code"), ("code", "x")))
    assert answer.status_code == 401


async def test_the_secret_is_stored_as_a_digest_only(world: World) -> None:
    client, secret = await confidential(world)
    assert secret not in repr(await stored_client(world, client.id))


async def test_more_requests_than_a_minute_allows_are_put_off(world: World) -> None:
    client = await world.register()
    most = world.settings.oauth_requests_a_minute
    throttle = world.server.token.post.throttle
    for _ in range(most):
        throttle.admit("127.0.0.1")
    answer = await world.refresh(client, "x")
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await world.authorize(client)).status_code == 429
    world.clock.turn(120)
    assert (await world.refresh(client, "x")).json()["error"] == "invalid_grant"


async def test_a_store_that_does_not_answer_is_said_so(world: World, store: Store) -> None:
    client = await world.register()
    store.take_down()
    answer = await world.refresh(client, "x")
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
