"""Documents of clients are read when they are needed, kept while they are fresh, and believed in nothing but their addresses."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from broker.oauth.client_documents import AN_ADDRESS_A_MINUTE
from broker.oauth.paced_fetch import A_HOST_A_MINUTE
from broker.providers.fetch import Fetched
from broker.settings import Settings
from broker.store import clients
from tests.oauth.published import JSON, PublishedWeb
from tests.oauth.world import CALLBACK, Registered, World, stored_client

URL = "https://notes.example/client.json"
APP = Registered(URL, None)
ELSEWHERE = "https://notes.example/elsewhere"
UNTRUSTED = "client_id is missing or unknown"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, most_unused_clients=2)


def document(**members: object) -> dict[str, Any]:
    named = {"client_id": URL, "client_name": "Acme Notes", "redirect_uris": [CALLBACK]}
    return {name: value for name, value in {**named, **members}.items() if value is not None}


async def test_a_client_that_nobody_registered_goes_the_whole_way(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    tokens = await world.tokens(APP)
    assert await world.is_live(tokens["access_token"])
    assert (await world.refresh(APP, tokens["refresh_token"])).status_code == 200
    assert web.asked == [URL]


async def test_it_is_unverified_and_known_by_its_host(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    await world.asked(APP)
    row = await stored_client(world, URL)
    assert (row.name, row.verified, row.source, row.public) == ("Acme Notes", 0, "document", 1)
    assert row.address == "https://notes.example"


async def test_two_documents_of_the_same_name_are_two_clients(world: World, web: PublishedWeb) -> None:
    other = "https://evil.example/client.json"
    web.publish(URL, document())
    web.publish(other, document(client_id=other))
    await world.asked(APP)
    await world.asked(Registered(other, None))
    assert {client.id for client in await world.db.read(clients.all_live)} == {URL, other}


@pytest.mark.parametrize(
    "members",
    [
        {"client_id": "https://evil.example/client.json"},
        {"client_id": URL + "/"},
        {"client_id": None},
        {"client_id": [URL]},
        {"client_secret": "s"},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"redirect_uris": None},
        {"redirect_uris": []},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"client_name": "Open\u202eIA"},
    ],
    ids=str,
)
async def test_a_document_that_breaks_a_rule_is_no_client(
    world: World, web: PublishedWeb, members: dict[str, object]
) -> None:
    web.publish(URL, document(**members))
    answer = await world.authorize(APP)
    assert (answer.status_code, answer.json()["reason"]) == (400, UNTRUSTED)
    assert (await world.push(APP)).json()["error"] == "invalid_client"
    assert await world.db.read(clients.all_live) == []


@pytest.mark.parametrize(
    "answer",
    [
        Fetched(404, JSON, b"{}"),
        Fetched(302, {"location": "https://notes.example/other"}, b""),
        Fetched(200, {"content-type": "text/html"}, b"<html>"),
        Fetched(200, JSON, b"[]"),
        Fetched(200, JSON, b"{"),
        Fetched(200, JSON, b"x" * 5_001),
        None,
    ],
    ids=["404", "redirect", "page", "array", "broken", "long", "nobody"],
)
async def test_what_is_no_document_is_no_client(world: World, web: PublishedWeb, answer: Fetched | None) -> None:
    if answer is not None:
        web.answers[URL] = answer
    assert (await world.authorize(APP)).json()["reason"] == UNTRUSTED
    assert (await world.push(APP)).status_code == 401


async def test_an_error_is_not_kept(world: World, web: PublishedWeb) -> None:
    assert (await world.authorize(APP)).status_code == 400
    web.publish(URL, document())
    assert (await world.authorize(APP)).status_code == 303


async def test_only_addresses_of_the_document_are_answered(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    for uri in (ELSEWHERE, CALLBACK + "/", "https://evil.example/callback"):
        assert (await world.authorize(APP, redirect_uri=uri)).status_code == 400


async def test_a_document_is_read_again_when_it_is_not_fresh_any_more(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document(), cache_control="max-age=600")
    await world.asked(APP)
    web.publish(URL, document(redirect_uris=[ELSEWHERE], client_name="Acme"))
    world.clock.turn(599)
    assert (await world.authorize(APP)).status_code == 303
    world.clock.turn(1)
    assert (await world.authorize(APP)).status_code == 400
    assert (await world.authorize(APP, redirect_uri=ELSEWHERE)).status_code == 303
    assert (await stored_client(world, URL)).name == "Acme"
    assert len(web.asked) == 2


async def test_while_a_host_is_down_its_client_is_told_to_wait_and_not_that_it_is_none(
    world: World, web: PublishedWeb
) -> None:
    web.publish(URL, document())
    tokens = await world.tokens(APP)
    del web.answers[URL]
    assert (await world.authorize(APP)).status_code == 303
    world.clock.turn(600)
    answer = await world.refresh(APP, tokens["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert (await world.authorize(APP)).status_code == 503
    web.publish(URL, document())
    assert (await world.refresh(APP, tokens["refresh_token"])).status_code == 200


async def test_a_document_that_was_emptied_ends_its_client(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    tokens = await world.tokens(APP)
    web.publish(URL, document(client_id="https://notes.example/another"))
    world.clock.turn(600)
    assert (await world.refresh(APP, tokens["refresh_token"])).json()["error"] == "invalid_client"


async def test_other_addresses_of_a_client_that_is_used_are_audited(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    await world.tokens(APP)
    web.publish(URL, document(client_name="Acme"))
    world.clock.turn(600)
    await world.asked(APP)
    assert "client.changed" not in await world.audited()
    web.publish(URL, document(redirect_uris=[CALLBACK, ELSEWHERE]))
    world.clock.turn(600)
    await world.asked(APP)
    assert (await world.audited()).count("client.changed") == 1


async def test_another_way_to_authenticate_is_audited_too(world: World, web: PublishedWeb) -> None:
    keys = "https://notes.example/keys"
    web.publish(URL, document(jwks_uri=keys))
    await world.tokens(APP)
    web.publish(URL, document(jwks_uri=keys, token_endpoint_auth_method="private_key_jwt"))
    world.clock.turn(600)
    await world.asked(APP)
    assert (await world.audited()).count("client.changed") == 1


async def test_many_that_ask_at_once_cause_one_question(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    answers = await asyncio.gather(*(world.authorize(APP) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {303}
    assert web.asked == [URL]


async def test_one_address_causes_only_so_many_questions_a_minute(world: World, web: PublishedWeb) -> None:
    for number in range(AN_ADDRESS_A_MINUTE):
        await world.authorize(Registered(f"https://notes.example/{number}", None))
    answer = await world.authorize(Registered("https://notes.example/more", None))
    assert (answer.status_code, answer.json()["title"]) == (429, "Too many requests")
    assert (await world.push(Registered("https://notes.example/more", None))).status_code == 429
    assert len(web.asked) == AN_ADDRESS_A_MINUTE
    world.clock.turn(120)
    assert (await world.authorize(Registered("https://notes.example/more", None))).status_code == 400


async def test_a_host_that_is_asked_too_often_has_its_clients_wait_and_not_refused(
    world: World, web: PublishedWeb
) -> None:
    for number in range(A_HOST_A_MINUTE):
        await world.server.authorize.find(f"https://notes.example/{number}", asked_from=str(number))
    web.publish(URL, document())
    answer = await world.push(APP)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    world.clock.turn(120)
    assert (await world.push(APP)).status_code == 201


async def test_of_too_many_documents_that_asked_nobody_the_oldest_goes(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    await world.asked(APP)
    for number in range(4):
        address = f"https://h{number}.example/"
        web.publish(address, document(client_id=address))
        assert (await world.push(Registered(address, None), redirect_uri=ELSEWHERE)).status_code == 400  # no trace
        world.clock.turn(1)
    kept = {client.id for client in await world.db.read(clients.all_live)}
    assert kept == {URL, "https://h2.example/", "https://h3.example/"}


async def test_one_that_its_operator_removed_does_not_come_back(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    await world.asked(APP)
    assert await world.db.write(lambda tx: clients.remove(tx, URL, world.clock()))
    world.clock.turn(86_400)
    assert (await world.authorize(APP)).status_code == 400
    assert web.asked == [URL]


async def test_whoever_asked_first_may_leave(world: World, web: PublishedWeb) -> None:
    arrived, gate = asyncio.Event(), asyncio.Event()

    class Slow(PublishedWeb):
        async def __call__(self, url: str, *, most: int, accept: str) -> Fetched:
            arrived.set()
            await gate.wait()
            return await super().__call__(url, most=most, accept=accept)

    slow = Slow()
    slow.publish(URL, document())
    documents = world.server.authorize.find.documents  # type: ignore[attr-defined]
    documents._fetch = slow
    first = asyncio.ensure_future(documents.find(URL, None, "a"))
    await arrived.wait()
    second = asyncio.ensure_future(documents.find(URL, None, "b"))
    first.cancel()
    gate.set()
    found = await second
    assert found is not None
    assert found.id == URL
    assert slow.asked == [URL]


async def test_a_document_can_ask_for_bound_tokens_and_not_for_the_operators_word(
    world: World, web: PublishedWeb
) -> None:
    web.publish(URL, document(dpop_bound_access_tokens=True, fapi2=True, verified=True, source="operator"))
    code, _ = await world.code(APP)
    answer = await world.exchange(APP, code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    row = await stored_client(world, URL)
    assert (row.dpop_bound, row.fapi2, row.verified, row.source) == (1, 0, 0, "document")
