"""A device polls for its tokens (RFC 8628 §3.4, §3.5)."""

import asyncio
import json

import httpx
import pytest

from broker.oauth.grant_types import DEVICE_CODE
from tests.oauth.devices import approve, deny, poll, said, stored, waiting
from tests.oauth.prover import Prover
from tests.oauth.world import Registered, World, narrowed


@pytest.fixture
async def client(world: World) -> Registered:
    return await world.register()


@pytest.fixture
async def code(world: World, client: Registered) -> str:
    return str((await waiting(world, client))["device_code"])


async def test_it_is_told_to_wait_until_the_person_has_answered(world: World, client: Registered, code: str) -> None:
    for _ in range(3):
        assert await said(world, client, code) == "authorization_pending"
        world.clock.turn(5)


async def test_a_poll_too_soon_makes_it_slower_for_good(world: World, client: Registered, code: str) -> None:
    assert await said(world, client, code) == "authorization_pending"
    world.clock.turn(4.9)
    assert await said(world, client, code) == "slow_down"
    world.clock.turn(9.9)
    assert await said(world, client, code) == "slow_down"
    world.clock.turn(14.9)
    assert await said(world, client, code) == "slow_down"
    for _ in range(2):
        world.clock.turn(20)
        assert await said(world, client, code) == "authorization_pending"
    world.clock.turn(19)
    assert await said(world, client, code) == "slow_down"


async def test_of_polls_at_once_one_is_in_time(world: World, client: Registered, code: str) -> None:
    answers = await asyncio.gather(*(said(world, client, code) for _ in range(6)))
    assert sorted(answers) == ["authorization_pending"] + ["slow_down"] * 5
    device, _ = await stored(world, code)
    assert device.interval == 5 + 5 * 5


async def test_after_approval_it_gets_tokens_for_what_was_granted(world: World, client: Registered, code: str) -> None:
    grant = await approve(world, code)
    answer = await poll(world, client, code)
    body = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (body["token_type"], body["grant_id"]) == ("Bearer", grant.id)
    assert body["authorization_details"][0]["budget"]["amount"] == "2.00"
    assert await world.is_live(body["access_token"])
    assert (await world.refresh(client, body["refresh_token"])).status_code == 200
    assert "token.issued" in await world.audited()


async def test_the_answer_waits_for_no_interval(world: World, client: Registered, code: str) -> None:
    await said(world, client, code)
    await approve(world, code)
    assert (await poll(world, client, code)).status_code == 200


async def test_of_many_polls_at_once_one_gets_the_tokens_and_they_live(
    world: World, client: Registered, code: str
) -> None:
    await approve(world, code)
    answers = await asyncio.gather(*(poll(world, client, code) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert await world.is_live(won["access_token"])


async def test_a_code_is_used_once_and_a_later_use_is_noted_and_takes_nothing_away(
    world: World, client: Registered, code: str
) -> None:
    await approve(world, code)
    tokens = (await poll(world, client, code)).json()
    world.clock.turn(1)
    assert await said(world, client, code) == "invalid_grant"
    assert await world.is_live(tokens["access_token"])
    assert (await world.audited())[-1] == "device_code.replayed"


async def test_a_denial_is_told_each_time(world: World, client: Registered, code: str) -> None:
    await deny(world, code)
    assert [await said(world, client, code) for _ in range(2)] == ["access_denied"] * 2


@pytest.mark.parametrize("is_approved", [False, True])
async def test_a_code_ends_whether_or_not_it_was_answered(
    world: World, client: Registered, code: str, is_approved: bool
) -> None:
    if is_approved:
        await approve(world, code)
    world.clock.turn(600)
    assert await said(world, client, code) == "expired_token"


async def test_what_is_not_its_own_code_is_refused_alike(world: World, client: Registered, code: str) -> None:
    await approve(world, code)
    other = await world.register()
    refused = [await poll(world, other, code), await poll(world, client, "dev_unknown")]
    assert {answer.text for answer in refused} == {refused[0].text}
    assert refused[0].json()["error"] == "invalid_grant"
    assert await said(world, client, "") == "invalid_request"
    assert (await poll(world, client, code)).status_code == 200


async def test_the_user_code_and_an_authorization_code_are_no_device_codes(world: World, client: Registered) -> None:
    body = await waiting(world, client)
    await approve(world, body["device_code"])
    assert await said(world, client, body["user_code"]) == "invalid_grant"
    answer = await world.exchange(client, body["device_code"])
    assert answer.json()["error"] == "invalid_grant"


async def test_a_confidential_client_authenticates_at_each_poll(world: World) -> None:
    client = await world.register(public=False)
    code = (await waiting(world, client))["device_code"]
    await approve(world, code)
    assert await said(world, client, code, client_secret="wrong") == "invalid_client"
    assert await said(world, Registered(client.id, None), code) == "invalid_client"
    assert (await poll(world, client, code)).status_code == 200


async def test_less_can_be_asked_for_at_the_poll_and_more_uses_nothing_up(
    world: World, client: Registered, code: str
) -> None:
    await approve(world, code)
    more = narrowed(models=["gpt-4o"], actions=["chat", "images"])
    assert await said(world, client, code, authorization_details=more) == "invalid_authorization_details"
    body = (await poll(world, client, code, authorization_details=narrowed(models=["gpt-4o"]))).json()
    assert body["authorization_details"][0]["models"] == ["gpt-4o"]
    whole = (await world.refresh(client, body["refresh_token"])).json()
    assert whole["authorization_details"][0]["models"] == ["gpt-4o-mini", "gpt-4o"]


async def test_a_grant_that_ended_meanwhile_gives_nothing(world: World, client: Registered, code: str) -> None:
    grant = await approve(world, code)
    await world.end_grant(grant.id)
    assert await said(world, client, code) == "invalid_grant"


async def test_what_was_asked_in_another_type_is_answered_in_it(world: World, client: Registered) -> None:
    wish = json.dumps([{"type": "llm-inference", "budget": 2, "models": ["gpt-4o-mini"]}])
    code = (await waiting(world, client, authorization_details=wish))["device_code"]
    await approve(world, code)
    body = (await poll(world, client, code)).json()
    assert body["authorization_details"][0]["type"] == "llm-inference"


async def test_a_proof_at_the_poll_binds_the_tokens_to_its_key(world: World, client: Registered, code: str) -> None:
    prover, other = Prover(), Prover()
    await approve(world, code)
    answer = await prove(world, client, prover, {"grant_type": DEVICE_CODE, "device_code": code})
    body = answer.json()
    assert body["token_type"] == "DPoP"
    assert world.signer.verify_access_token(body["access_token"], world.clock()).jkt == prover.jkt
    fields = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    assert (await prove(world, client, other, fields)).status_code == 400
    assert (await prove(world, client, prover, fields)).status_code == 200


async def test_a_wrong_proof_uses_nothing_up(world: World, client: Registered, code: str) -> None:
    await approve(world, code)
    fields = {"grant_type": DEVICE_CODE, "device_code": code, **client.fields()}
    answer = await world.http.post("/oauth/token", data=fields, headers={"dpop": "no.proof.at-all"})
    assert answer.json()["error"] == "invalid_dpop_proof"
    assert (await poll(world, client, code)).status_code == 200


async def prove(world: World, client: Registered, prover: Prover, fields: dict[str, str]) -> httpx.Response:
    headers = {"dpop": prover.proof(world.clock())}
    return await world.http.post("/oauth/token", data=fields | client.fields(), headers=headers)
