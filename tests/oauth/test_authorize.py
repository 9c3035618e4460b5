"""The authorization endpoint: identify, then check, then store."""

import json
from urllib.parse import urlencode

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import OAuthError
from broker.oauth.code import kept_code, redirect_back
from broker.oauth.request import store_opened
from broker.store import grant_requests
from broker.store.grant_tables import GrantRequest
from tests.oauth.world import ASKED, CALLBACK, CHALLENGE, ISSUER, World, ask, form, sent_back


async def load(world: World, request_id: str) -> GrantRequest:
    async def work(tx: AsyncSession) -> GrantRequest:
        found = await grant_requests.load_with_client(tx, request_id)
        assert found is not None
        return found[0]

    return await world.db.read(work)


async def test_a_good_request_is_stored_and_leads_to_its_consent_page(world: World) -> None:
    client = await world.register()
    answer = await world.authorize(client)
    assert answer.status_code == 303
    place, _, request_id = answer.headers["location"].rpartition("/")
    assert place == "/consent"
    assert "cross-origin-opener-policy" not in answer.headers
    stored = await load(world, request_id)
    assert (stored.client_id, stored.redirect_uri, stored.client_state) == (client.id, CALLBACK, "s/1 &ü")
    assert (stored.state, stored.opened_at) == ("pending", world.clock())
    assert stored.ends_at == world.clock() + 600 * 1_000_000
    assert json.loads(stored.asked)[0]["models"] == ASKED[0]["models"]


async def test_a_person_who_is_not_signed_in_is_led_to_sign_in_with_the_request(world: World) -> None:
    world.signed_in = False
    answer = await world.authorize(await world.register())
    assert answer.headers["location"].startswith("/sign-in?request=grq_")


async def test_the_request_may_be_posted(world: World) -> None:
    answer = await world.http.post("/oauth/authorize", data=ask(await world.register()))
    assert answer.headers["location"].startswith("/consent/grq_")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        CALLBACK + "/",
        CALLBACK + "?x=1",
        CALLBACK + "#x",
        CALLBACK.upper(),
        CALLBACK.replace("callback", "./callback"),
        CALLBACK.replace("callback", "%63allback"),
        CALLBACK.replace("notes.example", "notes.example:443"),
        "https://evil.example/callback",
        "javascript:alert(1)",
        "https://notes.example\t.evil.example/callback",
    ],
)
async def test_an_address_that_is_not_registered_is_shown_and_never_followed(
    world: World, redirect_uri: str | None
) -> None:
    """RFC 9700 §4.1."""
    client = await world.register()
    answer = await world.authorize(client, redirect_uri=redirect_uri, response_type="token")
    assert answer.status_code == 400
    assert "location" not in answer.headers
    body = answer.json()
    assert body["title"] == "This request cannot be trusted"
    assert body["client_id"] == client.id
    assert body["address"].isascii()


async def test_an_unknown_client_is_shown_and_never_followed(world: World) -> None:
    answer = await world.authorize(await world.register(), client_id="cli_unknown")
    assert (answer.status_code, answer.json()["reason"]) == (400, "client_id is missing or unknown")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:42]}, "invalid_request"),
        ({"code_challenge": CHALLENGE * 3}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"resource": ISSUER}, "invalid_target"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"authorization_details": None}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": "{"}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([ASKED[0] | {"provider": "nobody"}])}, "invalid_authorization_details"),
        (
            {"authorization_details": json.dumps([ASKED[0] | {"locations": ["https://elsewhere.example"]}])},
            "invalid_authorization_details",
        ),
    ],
)
async def test_a_wrong_request_of_a_known_client_is_sent_back_with_its_error(
    world: World, changes: dict[str, str | None], error: str
) -> None:
    """The state comes back unchanged, and the issuer with it (RFC 9207)."""
    sent = sent_back(await world.authorize(await world.register(), **changes))
    assert sent.pop("error_description").isascii()
    assert sent == {"error": error, "state": "s/1 &ü", "iss": ISSUER}


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state"])
async def test_a_repeated_name_that_the_answer_depends_on_is_shown(world: World, name: str) -> None:
    pairs = [*ask(await world.register()).items(), (name, "again")]
    answer = await world.http.get(f"/oauth/authorize?{urlencode(pairs)}")
    assert (answer.status_code, "location" in answer.headers) == (400, False)


@pytest.mark.parametrize("name", ["scope", "code_challenge", "authorization_details", "unheard_of"])
async def test_any_other_repeated_name_is_sent_back(world: World, name: str) -> None:
    pairs = [*ask(await world.register()).items(), (name, "a"), (name, "b")]
    assert sent_back(await world.http.get(f"/oauth/authorize?{urlencode(pairs)}"))["error"] == "invalid_request"


async def test_parameters_in_both_address_and_body_are_refused(world: World) -> None:
    fields = ask(await world.register())
    answer = await world.http.post("/oauth/authorize?state=x", **form(*fields.items()))
    assert answer.status_code == 400


async def test_a_query_that_cannot_be_read_is_shown(world: World) -> None:
    assert (await world.http.get("/oauth/authorize?client_id=%ff")).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_the_port_of_a_loopback_address_is_free(world: World, host: str) -> None:
    """RFC 8252 §7.3."""
    client = await world.register(redirect_uris=(f"http://{host}/cb",))
    uri = f"http://{host}:53123/cb"
    answer = await world.authorize(client, redirect_uri=uri)
    request_id = answer.headers["location"].rpartition("/")[2]
    assert (await load(world, request_id)).redirect_uri == uri


async def test_the_way_back_has_code_state_and_issuer(world: World) -> None:
    client = await world.register()
    request_id = await world.asked(client)
    code, _ = await world.approve(request_id)
    stored = await load(world, request_id)
    kept = await world.db.read(lambda tx: kept_code(tx, world.vault, stored, world.clock()))
    assert kept is not None
    assert redirect_back(stored, ISSUER, code=kept) == (
        f"{CALLBACK}?code={code}&state=s%2F1%20%26%C3%BC&iss=http%3A%2F%2F127.0.0.1%3A8080"
    )
    denied = redirect_back(stored, ISSUER, error="access_denied")
    assert denied == f"{CALLBACK}?error=access_denied&state=s%2F1%20%26%C3%BC&iss=http%3A%2F%2F127.0.0.1%3A8080"


async def test_the_kept_copy_is_shown_no_longer_than_the_code_lives(world: World) -> None:
    client = await world.register()
    request_id = await world.asked(client)
    await world.approve(request_id)
    stored = await load(world, request_id)
    world.clock.turn(60)
    assert await world.db.read(lambda tx: kept_code(tx, world.vault, stored, world.clock())) is None
    assert await world.db.write(lambda tx: grant_requests.erase_ended_codes(tx, world.clock())) == 1
    assert (await load(world, request_id)).sealed_code == ""


async def test_a_client_that_went_meanwhile_is_told_to_come_again(world: World) -> None:
    now = world.clock()
    request = GrantRequest(
        id="grq_1",
        client_id="https://notes.example/gone",
        redirect_uri=CALLBACK,
        code_challenge=CHALLENGE,
        asked="[]",
        created_at=now,
        ends_at=now,
    )
    with pytest.raises(OAuthError) as raised:
        await world.db.write(lambda tx: store_opened(tx, request, world.settings))
    assert (raised.value.error, raised.value.status) == ("temporarily_unavailable", 503)
