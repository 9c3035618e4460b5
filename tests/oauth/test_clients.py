"""Registering clients, and what each may be called."""

import pytest

from broker.oauth.clients import BadClient, may_use, register_client
from broker.store import clients
from broker.store.tables import Client
from tests.oauth.world import CALLBACK, World


async def register(world: World, name: str = "Acme Notes", **terms: object) -> None:
    await world.db.write(lambda tx: register_client(tx, 0, name, public=True, **terms))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "Open\u202eIA", "Acme\u200bNotes", "Acme\nNotes", "Acme\x00"])
async def test_a_name_that_could_deceive_is_refused(world: World, name: str) -> None:
    with pytest.raises(BadClient, match="name"):
        await register(world, name)


@pytest.mark.parametrize("name", ["Acme Notes", "Ñandú & <b>Söhne</b>", "メモ帳"])
async def test_any_visible_name_is_taken(world: World, name: str) -> None:
    await register(world, name)
    assert [client.name for client in await world.db.read(clients.all_live)] == [name]


async def test_a_bad_redirect_address_is_refused_with_its_reason_and_nothing_is_stored(world: World) -> None:
    with pytest.raises(BadClient, match=r"'javascript:alert\(1\)' is refused: it is neither"):
        await register(world, redirect_uris=(CALLBACK, "javascript:alert(1)"))
    assert await world.db.read(clients.all_live) == []


@pytest.mark.parametrize("origin", ["https://notes.example/", "http://notes.example", "*", "null", "https://a b"])
async def test_a_bad_origin_is_refused(world: World, origin: str) -> None:
    with pytest.raises(BadClient, match="origin"):
        await register(world, origins=(origin,))


@pytest.mark.parametrize("address", ["javascript:x", "http://notes.example", "https://u@notes.example", "notes"])
async def test_a_bad_address_is_refused(world: World, address: str) -> None:
    with pytest.raises(BadClient, match="address"):
        await register(world, address=address)


async def test_origins_and_an_address_are_kept(world: World) -> None:
    await register(
        world,
        origins=("https://notes.example:8443", "http://localhost:3000"),
        address="https://notes.example/about",
        verified=False,
    )
    (client,) = await world.db.read(clients.all_live)
    assert client.origins == '["https://notes.example:8443", "http://localhost:3000"]'
    assert (client.address, client.verified, client.public) == ("https://notes.example/about", 0, 1)


@pytest.mark.parametrize(
    ("named", "may"),
    [("[]", True), ('["refresh_token"]', False), ('["authorization_code","refresh_token"]', True)],
)
def test_a_client_may_use_the_grant_types_it_registered_and_all_where_it_named_none(named: str, may: bool) -> None:
    client = Client(id="cli_1", name="Acme", public=1, redirect_uris="[]", verified=0, created_at=0, grant_types=named)
    assert may_use(client, "authorization_code") is may
