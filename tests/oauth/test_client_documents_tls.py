"""A client's document is read from a real host over TLS, by the fetch that the server has."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.providers.fetch import GuardedFetch
from tests.oauth.test_client_documents import APP, URL, document
from tests.oauth.world import World
from tests.providers.certificates import Authority
from tests.providers.wire import Wire, saying, serving

HOST = "notes.example"
_BODY = json.dumps(document()).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: max-age=600\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_BODY), _BODY)
)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[tuple[Wire, Authority]]:
    authority = Authority.make()
    async with serving(saying(_ANSWER), authority.server(tmp_path, name=HOST)) as wire:
        yield wire, authority


@pytest.fixture
def reachable() -> bool:
    return True


@pytest.fixture
def web(host: tuple[Wire, Authority], reachable: bool) -> GuardedFetch:
    wire, authority = host

    async def resolve(_host: str) -> list[str]:
        return ["127.0.0.1"]

    if not reachable:
        return GuardedFetch(resolve, port=wire.port, tls=authority.trusted())
    return GuardedFetch(resolve, may_reach=lambda _: True, port=wire.port, tls=authority.trusted())


async def test_a_client_comes_with_its_document_and_gets_its_tokens(world: World, host: tuple[Wire, Authority]) -> None:
    tokens = await world.tokens(APP)
    assert await world.is_live(tokens["access_token"])
    assert [request.split(b"\r\n")[:2] for request in host[0].asked] == [
        [b"GET /client.json HTTP/1.1", b"host: notes.example"]
    ]


@pytest.mark.parametrize("reachable", [False], ids=["as it is by default"])
async def test_a_host_inside_of_our_network_is_not_spoken_to(world: World, host: tuple[Wire, Authority]) -> None:
    assert (await world.authorize(APP)).status_code == 400
    assert (await world.push(APP)).json()["error"] == "invalid_client"
    assert (APP.id, host[0].opened) == (URL, 0)
