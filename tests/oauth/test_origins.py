"""Whose page an origin is, asked of each store."""

from broker.oauth.origins import Origins
from tests.oauth.world import World


async def test_a_page_is_found_by_its_origin_however_its_address_was_written(world: World) -> None:
    notes = await world.register(redirect_uris=("https://Notes.Example:443/callback?x=%2F_",))
    near = await world.register(redirect_uris=("https://notes.example.evil.example/callback", "http://127.0.0.1/cb"))
    other = await world.register(redirect_uris=("https://notes.example/other",))
    origins = Origins(world.db, world.clock)
    assert await origins.clients_at("https://notes.example") == {notes.id, other.id}
    assert await origins.clients_at("https://notes.example.evil.example") == {near.id}
    for none in ("https://notes", "https://notes.exampl", "http://127.0.0.1", "https://notes_example", "null"):
        assert await origins.clients_at(none) == frozenset()
