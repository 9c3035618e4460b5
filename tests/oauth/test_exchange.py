"""A code becomes tokens, once."""

import asyncio
import json

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.grant_tables import GrantRequest
from tests.oauth.world import ASKED, CALLBACK, ISSUER, World, narrowed


async def test_an_approved_code_becomes_tokens_that_say_what_was_granted(world: World) -> None:
    client = await world.register()
    code, grant = await world.code(client)
    answer = await world.exchange(client, code)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    access_token, refresh_token = body.pop("access_token"), body.pop("refresh_token")
    assert len(refresh_token) > 40
    details = body.pop("authorization_details")
    identifier = details[0].pop("identifier")
    assert identifier.startswith("key_")
    assert details == [
        {
            "type": "ai_model_access",
            "provider": "openai",
            "models": ["gpt-4o-mini", "gpt-4o"],
            "actions": ["chat"],
            "budget": {"amount": "2.00", "currency": "USD", "per": "grant"},
            "expires_at": world.clock() // 1_000_000 + 86_400,
        }
    ]
    assert body == {
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token_timeout": 86_400,
        "authorization_expires_in": 86_400,
        "grant_id": grant.id,
    }
    assert await world.is_live(access_token)
    assert await world.audited() == ["client.added", "token.issued"]


async def test_a_code_used_twice_is_refused_and_everything_issued_from_it_revoked(world: World) -> None:
    """RFC 6749 §4.1.2."""
    client = await world.register()
    code, _ = await world.code(client)
    first = (await world.exchange(client, code)).json()
    second = await world.exchange(client, code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    assert not await world.is_live(first["access_token"])
    assert (await world.refresh(client, first["refresh_token"])).json()["error"] == "invalid_grant"
    assert "code.replayed" in await world.audited()


async def test_a_code_sent_fifty_times_at_once_is_answered_with_tokens_exactly_once(world: World) -> None:
    client = await world.register()
    code, _ = await world.code(client)
    answers = await asyncio.gather(*(world.exchange(client, code) for _ in range(50)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [400] * 49
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}


async def test_the_code_of_one_client_is_worth_nothing_to_another_and_stays_usable(world: World) -> None:
    client, thief = await world.register(), await world.register()
    code, _ = await world.code(client)
    assert (await world.exchange(thief, code)).json()["error"] == "invalid_grant"
    assert (await world.exchange(client, code)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "v" * 42}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": CALLBACK + "/"}, "invalid_grant"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"authorization_details": "["}, "invalid_authorization_details"),
        ({"authorization_details": narrowed(models=["o1"])}, "invalid_authorization_details"),
        ({"code": None}, "invalid_request"),
        ({"code": "cod_unknown"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"grant_type": None}, "invalid_request"),
    ],
)
async def test_a_refused_exchange_leaves_the_code_usable(
    world: World, changes: dict[str, str | None], error: str
) -> None:
    """Validate first, consume last: a failed verifier does not burn the code for its owner."""
    client = await world.register()
    code, _ = await world.code(client)
    refused = await world.exchange(client, code, **changes)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    exact = {"redirect_uri": CALLBACK, "resource": f"{ISSUER}/proxy"}
    assert (await world.exchange(client, code, **exact)).status_code == 200


async def test_a_code_ends_after_a_minute(world: World) -> None:
    client = await world.register()
    code, _ = await world.code(client)
    world.clock.turn(60)
    assert (await world.exchange(client, code)).json()["error"] == "invalid_grant"


async def test_a_code_is_worth_nothing_once_its_grant_was_revoked(world: World) -> None:
    client = await world.register()
    code, grant = await world.code(client)
    await world.end_grant(grant.id)
    assert (await world.exchange(client, code)).json()["error"] == "invalid_grant"


async def test_a_code_is_worth_nothing_once_its_user_was_disabled(world: World) -> None:
    client = await world.register()
    code, _ = await world.code(client)
    await world.disable_user()
    assert (await world.exchange(client, code)).json()["error"] == "invalid_grant"


async def test_the_kept_copy_of_the_code_is_erased_at_the_exchange(world: World) -> None:
    client = await world.register()
    request_id = await world.asked(client)
    code, _ = await world.approve(request_id)

    async def sealed(tx: AsyncSession) -> str:
        row = await tx.get(GrantRequest, request_id)
        assert row is not None
        return row.sealed_code

    assert code not in await world.db.read(sealed) != ""
    await world.exchange(client, code)
    assert await world.db.read(sealed) == ""


async def test_no_token_lives_longer_than_its_grant(world: World) -> None:
    client = await world.register()
    code, _ = await world.code(client)
    world.clock.turn(59)
    body = (await world.exchange(client, code)).json()
    world.clock.turn(86_400 - 59 - 600)
    late = (await world.refresh(client, body["refresh_token"])).json()
    assert late["expires_in"] == late["refresh_token_timeout"] == late["authorization_expires_in"] == 600
    world.clock.turn(600)
    assert (await world.refresh(client, late["refresh_token"])).json()["error"] == "invalid_grant"


async def test_narrowing_at_the_exchange_caps_that_token_alone(world: World) -> None:
    """An absent member inherits the granted value; the next plain refresh is worth the whole grant again."""
    client = await world.register()
    code, _ = await world.code(client)
    less = narrowed(models=["gpt-4o-mini"], budget={"amount": "0.50", "currency": "USD"})
    body = (await world.exchange(client, code, authorization_details=less)).json()
    (element,) = body["authorization_details"]
    assert (element["models"], element["budget"]["amount"], element["actions"]) == (["gpt-4o-mini"], "0.50", ["chat"])
    full = (await world.refresh(client, body["refresh_token"])).json()
    assert full["authorization_details"][0]["models"] == ["gpt-4o-mini", "gpt-4o"]


async def test_the_request_itself_is_no_widening_of_what_was_granted_in_full(world: World) -> None:
    client = await world.register()
    code, _ = await world.code(client, budget=5_000_000)
    world.clock.turn(5)
    answer = await world.exchange(client, code, authorization_details=json.dumps(ASKED))
    assert answer.status_code == 200
    assert answer.json()["authorization_details"][0]["expires_at"] == world.clock() // 1_000_000 + 86_400 - 5
