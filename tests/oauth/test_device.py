"""A device asks (RFC 8628 §3.1, §3.2): all is checked at once, and both of its codes are kept as digests."""

import json
import re
from pathlib import Path

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import from_seconds
from broker.core.details import parse_details
from broker.core.handle import digest
from broker.oauth.user_code import LETTERS, read_user_code
from broker.settings import Settings
from broker.store.tables import Client
from tests.oauth.devices import ask, stored, waiting
from tests.oauth.world import ASKED, ISSUER, USER_CODES, Registered, World, form


async def test_a_device_gets_two_codes_and_where_the_short_one_is_entered(world: World) -> None:
    answer = await ask(world, await world.register())
    body = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert re.fullmatch(f"[{LETTERS}]{{4}}-[{LETTERS}]{{4}}", body["user_code"])
    assert len(body["device_code"]) > 40  # 256 bits
    assert body["verification_uri"] == f"{ISSUER}/device"
    assert body["verification_uri_complete"] == f"{ISSUER}/device?user_code={body['user_code']}"
    assert (body["expires_in"], body["interval"]) == (600, 5)


async def test_neither_code_is_kept_as_it_is(world: World) -> None:
    body = await waiting(world, await world.register())
    device, request = await stored(world, body["device_code"])
    user_code = read_user_code(body["user_code"])
    assert user_code is not None
    assert device.user_code_digest == USER_CODES.digest(user_code)
    assert device.user_code_digest not in (digest(user_code.letters), digest(user_code.shown()))
    kept = f"{device.model_dump()} {request.model_dump()}"
    assert not any(code in kept for code in (body["device_code"], body["user_code"], user_code.letters))


async def test_what_is_asked_is_stored_as_a_request_that_nobody_has_opened(world: World) -> None:
    client = await world.register()
    body = await waiting(world, client, device_name="Draft CLI on ana-laptop", resource=f"{ISSUER}/proxy")
    device, request = await stored(world, body["device_code"])
    assert (request.kind, request.client_id, request.state) == ("device", client.id, "pending")
    assert (request.opened_at, request.user_id, request.redirect_uri) == (None, None, "")
    assert parse_details(request.asked) == parse_details(json.dumps(ASKED))
    assert request.ends_at == device.ends_at == world.clock() + from_seconds(600)
    assert (device.asked_from, device.claim) == ("127.0.0.1", "Draft CLI on ana-laptop")


async def test_a_confidential_client_authenticates_here_too(world: World) -> None:
    client = await world.register(public=False)
    assert (await ask(world, client)).status_code == 200
    answer = await ask(world, client, client_secret="wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert (await ask(world, Registered("cli_nobody", None))).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"authorization_details": None}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"other"}]'}, "invalid_authorization_details"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"device_name": "x" * 81}, "invalid_request"),
        ({"grant_management_action": "merge"}, "invalid_request"),
        ({"grant_management_action": "replace", "grant_id": "grt_unknown"}, "invalid_grant_id"),
    ],
)
async def test_what_is_wrong_is_said_at_once(world: World, changes: dict[str, str | None], error: str) -> None:
    answer = await ask(world, await world.register(), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_parameter_that_stands_twice_is_refused(world: World) -> None:
    client = await world.register()
    pairs = [("client_id", client.id), ("authorization_details", json.dumps(ASKED)), ("device_name", "a")]
    answer = await world.http.post("/oauth/device_authorization", **form(*pairs, ("device_name", "b")))
    assert answer.json()["error"] == "invalid_request"


async def test_a_client_that_registered_other_grant_types_only_is_refused(world: World) -> None:
    client = await world.register()

    async def registered(tx: AsyncSession) -> None:
        row = await tx.get(Client, client.id)
        assert row is not None
        row.grant_types = '["authorization_code"]'

    await world.db.write(registered)
    assert (await ask(world, client)).json()["error"] == "unauthorized_client"


async def test_a_code_that_is_taken_is_not_given_twice(world: World) -> None:
    client = await world.register()
    first = await waiting(world, client)
    taken = [LETTERS.index(letter) for letter in first["user_code"].replace("-", "")]
    # 240 to 255 are bytes that would favour some letters: they are thrown away.
    told = iter([*taken, 250, 240, *([0] * 8)])
    device = world.server.device
    object.__setattr__(device, "entropy", lambda _: bytes([next(told)]))
    assert (await waiting(world, client))["user_code"] == "BBBB-BBBB"


class TestSwitchedOff:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path, device_grant=False)

    async def test_nothing_of_it_is_there(self, world: World) -> None:
        answer: httpx.Response = await ask(world, await world.register())
        assert answer.status_code == 404
        described = (await world.http.get("/.well-known/oauth-authorization-server")).json()
        assert "device_authorization_endpoint" not in described
        assert not any("device" in each for each in described["grant_types_supported"])
        fields = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x"}
        client = await world.register()
        refused = await world.http.post("/oauth/token", data=fields | client.fields())
        assert refused.json()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("typed", ["wdjbmjht", "WDJB-MJHT", "  wdjb mjht ", "WDJB–MJHT", "w.d.j.b.m.j.h.t"])
def test_how_a_code_is_written_does_not_matter(typed: str) -> None:
    code = read_user_code(typed)
    assert code is not None
    assert code.shown() == "WDJB-MJHT"


@pytest.mark.parametrize("typed", ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJH1", "ẄDJB-MJHT", "x" * 9000])
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert read_user_code(typed) is None


def test_a_code_does_not_tell_itself() -> None:
    code = read_user_code("WDJB-MJHT")
    assert "WDJB" not in repr(code)
