"""What its client, its owner or nobody's patience ended is ended in every process: the next call, and those that run."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from broker.ledger.verify import verify
from broker.oauth.grant_types import TOKEN_EXCHANGE
from broker.oauth.token_exchange import ACCESS_TOKEN
from tests.fake_provider import Asked
from tests.oauth.world import Registered
from tests.patience import promised
from tests.rights.place import Place, code_of

Ends = Callable[[Place, Registered, dict[str, Any]], Awaitable[httpx.Response]]


async def give_back_access(place: Place, client: Registered, tokens: dict[str, Any]) -> httpx.Response:
    return await place.post("/oauth/revoke", client, token=tokens["access_token"])


async def give_back_refresh(place: Place, client: Registered, tokens: dict[str, Any]) -> httpx.Response:
    return await place.post("/oauth/revoke", client, token=tokens["refresh_token"])


async def give_back_grant(place: Place, client: Registered, tokens: dict[str, Any]) -> httpx.Response:
    basic = b64encode(f"{client.id}:{client.secret}".encode()).decode()
    address = f"/oauth/grants/{tokens['grant_id']}"
    return await place.https[0].delete(address, headers={"authorization": f"Basic {basic}"})


WAYS = pytest.mark.parametrize("end", [give_back_access, give_back_refresh, give_back_grant])


@WAYS
async def test_the_next_call_is_refused_by_every_worker(place: Place, end: Ends) -> None:
    browser, client = await place.browser(await place.person()), await place.client(public=False)
    tokens = await place.granted(browser, client)
    for worker in (0, 1):
        assert (await place.call(tokens["access_token"], worker=worker)).status_code == 200
    assert (await end(place, client, tokens)).status_code in (200, 204)
    for worker in (1, 0):
        refused = await place.call(tokens["access_token"], worker=worker)
        assert (refused.status_code, code_of(refused)) == (401, "invalid_token")
    said = await place.post("/oauth/introspect", client, token=tokens["access_token"])
    assert said.json() == {"active": False}


async def agents(place: Place, client: Registered, tokens: dict[str, Any]) -> list[str]:
    """A token that was made out of the app's, and one that was made out of that."""
    made = [str(tokens["access_token"])]
    for _ in range(2):
        fields = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": made[-1],
            "subject_token_type": ACCESS_TOKEN,
        }
        made.append(str((await place.post("/oauth/token", client, **fields)).json()["access_token"]))
    return made[1:]


@WAYS
async def test_what_was_made_out_of_it_is_refused_by_every_worker(place: Place, end: Ends) -> None:
    browser, client = await place.browser(await place.person()), await place.client(public=False)
    tokens = await place.granted(browser, client)
    made = await agents(place, client, tokens)
    for token in made:
        for worker in (0, 1):
            assert (await place.call(token, worker=worker)).status_code == 200
    assert (await end(place, client, tokens)).status_code in (200, 204)
    for token in made:
        for worker in (1, 0):
            refused = await place.call(token, worker=worker)
            assert (refused.status_code, code_of(refused)) == (401, "invalid_token")
        said = await place.post("/oauth/introspect", client, token=token)
        assert said.json() == {"active": False}


@WAYS
async def test_calls_that_run_in_another_worker_are_cut_within_two_seconds(place: Place, end: Ends) -> None:
    browser, client = await place.browser(await place.person()), await place.client(public=False)
    tokens = await place.granted(browser, client)

    came = asyncio.Semaphore(0)

    async def never(asked: Asked, writer: asyncio.StreamWriter) -> None:
        came.release()

    place.provider.script = never
    running = [asyncio.create_task(place.call(tokens["access_token"], worker=1)) for _ in range(3)]
    for _ in running:
        await came.acquire()
    await end(place, client, tokens)
    async with asyncio.timeout(promised(2, beside_others=20)):
        answers = await asyncio.gather(*running)
    assert [(answer.status_code, code_of(answer)) for answer in answers] == [(401, "invalid_token")] * 3
    assert "OK" in str(await verify(place.db))


async def test_a_grant_given_back_among_calls_lets_none_through_afterwards(place: Place) -> None:
    browser, client = await place.browser(await place.person()), await place.client(public=False)
    tokens = await place.granted(browser, client)
    begun, over = asyncio.Event(), asyncio.Event()
    late: list[int] = []

    async def calls(worker: int) -> list[int]:
        statuses = []
        while True:
            was_over = over.is_set()
            status = (await place.call(tokens["access_token"], worker=worker)).status_code
            statuses.append(status)
            begun.set()
            if was_over:
                late.append(status)
                return statuses

    callers = [asyncio.create_task(calls(number % 2)) for number in range(6)]
    await begun.wait()
    assert (await give_back_grant(place, client, tokens)).status_code == 204
    over.set()
    answers = await asyncio.gather(*callers)
    statuses = [status for some in answers for status in some]
    assert set(statuses) <= {200, 401}
    assert 200 in statuses
    assert late == [401] * 6
    assert "OK" in str(await verify(place.db))
    left = await place.https[1].get(
        f"/oauth/grants/{tokens['grant_id']}",
        headers={"authorization": f"Basic {b64encode(f'{client.id}:{client.secret}'.encode()).decode()}"},
    )
    (access,) = left.json()["access"]
    assert (left.json()["state"], access["budget"]["held"]) == ("revoked", 0)
    assert access["requests"]["used"] == statuses.count(200)


async def test_what_one_person_ends_another_keeps(place: Place) -> None:
    client = await place.client(public=False)
    both = [await place.granted(await place.browser(await place.person(name)), client) for name in ("ana", "ben")]
    assert both[0]["grant_id"] != both[1]["grant_id"]
    await give_back_grant(place, client, both[0])
    assert (await place.call(both[0]["access_token"])).status_code == 401
    assert (await place.call(both[1]["access_token"])).status_code == 200


async def test_a_person_cannot_widen_what_another_gave(place: Place) -> None:
    client = await place.client()
    anas = await place.browser(await place.person("ana"))
    tokens = await place.granted(anas, client)
    bens = await place.browser(await place.person("ben"))
    wish = {"type": "ai_model_access", "provider": "second", "models": ["gamma"], "actions": ["chat"]}
    await place.ask(bens, client, wish, grant_management_action="merge", grant_id=tokens["grant_id"])
    assert bens.page.h1 == "You cannot answer this"
    assert (await place.call(tokens["access_token"], "gamma", provider="second")).status_code == 403
