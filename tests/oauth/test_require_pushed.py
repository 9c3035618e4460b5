"""Who must push a request first (RFC 9126 §5, §6): each client of a server, or one client alone."""

from pathlib import Path

import pytest

from broker.oauth.clients import Safeguards
from broker.settings import Settings
from tests.oauth.world import ISSUER, World, sent_back

EVERYONE = pytest.mark.parametrize("everyone", [True])
NOBODY = pytest.mark.parametrize("everyone", [False])


@pytest.fixture
def settings(tmp_path: Path, everyone: bool) -> Settings:
    return Settings(data_dir=tmp_path, require_pushed=everyone)


async def says(world: World) -> object:
    metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    return metadata["require_pushed_authorization_requests"]


@EVERYONE
async def test_a_server_that_wants_them_of_everyone_says_so_and_refuses_plain_ones(world: World) -> None:
    client = await world.register()
    assert await says(world) is True
    sent = sent_back(await world.authorize(client))
    assert sent.pop("error_description") == "A pushed authorization request is required."
    assert sent == {"error": "invalid_request", "state": "s/1 &ü", "iss": ISSUER}
    assert (await world.http.get("/oauth/authorize", params=await opened(world))).status_code == 303


@NOBODY
async def test_one_client_alone_may_be_held_to_it(world: World) -> None:
    held = await world.register(safeguards=Safeguards(require_pushed=True))
    free = await world.register()
    assert await says(world) is False
    assert sent_back(await world.authorize(held))["error"] == "invalid_request"
    assert (await world.authorize(free)).headers["location"].startswith("/consent/")
    assert (await world.push(held)).status_code == 201


@EVERYONE
async def test_a_request_that_cannot_be_believed_is_still_shown_and_not_sent_back(world: World) -> None:
    client = await world.register()
    answer = await world.authorize(client, redirect_uri="https://evil.example")
    assert (answer.status_code, "location" in answer.headers) == (400, False)


async def opened(world: World) -> dict[str, str]:
    client = await world.register()
    return {"client_id": client.id, "request_uri": (await world.push(client)).json()["request_uri"]}
