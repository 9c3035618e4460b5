"""What is kept at a provider is found by the grant whose call made it, with the key it was made with, and by nobody else."""

from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND
from broker.core.secret import Secret
from broker.providers.openai_kept import KEPT_FOR
from broker.store.grant_tables import Access
from broker.store.object_tables import ProviderObject
from broker.vault.credentials import add_credential
from tests.canary import KEY
from tests.fake_openai import answer_openai
from tests.fake_provider import Asked
from tests.fake_state import KeepingOpenAI
from tests.proxy.world import GRANT_OF, World

RESPONSES = "/proxy/openai/v1/responses"
ASK = {"model": "gpt-4o-mini", "input": "Hello", "store": True}
MAY = '["chat", "files"]'


@pytest.fixture
async def keeping(world: World) -> KeepingOpenAI:
    world.provider.script = made = KeepingOpenAI()
    return made


async def ask(world: World, token: str, **more: Any) -> str:
    answered = await world.call(token, ASK | more, path=RESPONSES)
    assert answered.status == 200, answered.body
    return str(answered.json()["id"])


async def rows(world: World) -> list[ProviderObject]:
    async def work(tx: AsyncSession) -> list[ProviderObject]:
        return list((await tx.exec(select(ProviderObject))).all())

    return await world.db.read(work)


async def test_what_is_written_down_names_no_id(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    response_id = await ask(world, token)
    (row,) = await rows(world)
    assert response_id not in repr(row)
    assert (row.grant_id, row.credential_id, row.model) == (GRANT_OF[token], world.credentials["openai"], "gpt-4o-mini")
    assert row.ends_at == world.clock() + KEPT_FOR * SECOND


async def test_it_is_looked_for_no_longer_than_the_provider_keeps_it(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY, ends_at=2**60)
    response_id = await ask(world, token)
    (row,) = await rows(world)

    async def age(tx: AsyncSession) -> None:
        found = await tx.get(ProviderObject, row.digest)
        assert found is not None
        found.ends_at = world.clock()

    await world.db.write(age)
    assert (await world.call(token, path=f"{RESPONSES}/{response_id}", method="GET")).code == "not_found"


async def test_an_id_that_a_provider_gives_twice_stays_with_the_first(world: World) -> None:
    world.provider.script = answer_openai
    first, second = await world.token(actions=MAY), await world.token(actions=MAY)
    assert await ask(world, first) == await ask(world, second) == "resp_1"
    (row,) = await rows(world)
    assert row.grant_id == GRANT_OF[first]
    assert (await world.call(second, path=f"{RESPONSES}/resp_1", method="GET")).code == "not_found"


async def test_it_goes_with_the_key_it_was_made_with_or_not_at_all(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    response_id = await ask(world, token)

    async def swap(tx: AsyncSession) -> None:
        key = await add_credential(
            tx, world.vault, provider="openai", key=Secret(KEY + "x"), name="Other", user_id=world.user_id,
            now=world.clock(), by="x",
        )  # fmt: skip
        await tx.flush()
        access = (await tx.exec(select(Access).where(Access.grant_id == GRANT_OF[token]))).one()
        access.credential_id = key.id

    await world.change(swap)
    arrived = len(world.provider.asked)
    for method in ("GET", "DELETE"):
        refused = await world.call(token, path=f"{RESPONSES}/{response_id}", method=method)
        assert (refused.status, refused.code) == (404, "not_found")
    refused = await world.call(token, ASK | {"previous_response_id": response_id}, path=RESPONSES)
    assert (refused.status, refused.code) == (404, "not_found")
    assert len(world.provider.asked) == arrived


async def test_of_two_accesses_the_one_whose_key_made_it_is_used(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY, accesses=2)
    response_id = await ask(world, token)
    answered = await world.call(token, path=f"{RESPONSES}/{response_id}", method="GET")
    assert answered.json()["id"] == response_id


async def test_who_may_keep_nothing_is_told_so_first_whatever_the_id(world: World, keeping: KeepingOpenAI) -> None:
    token, other = await world.token(actions='["chat"]'), await world.token(actions=MAY)
    for response_id in ("resp_9", await ask(world, other)):
        arrived = len(world.provider.asked)
        for method in ("GET", "DELETE"):
            refused = await world.call(token, path=f"{RESPONSES}/{response_id}", method=method)
            assert (refused.status, refused.code) == (403, "action_not_granted")
        for named in ({"previous_response_id": response_id}, {"conversation": response_id}):
            refused = await world.call(token, ASK | named, path=RESPONSES)
            assert (refused.status, refused.code) == (403, "action_not_granted")
        assert len(world.provider.asked) == arrived


async def test_a_revoked_token_and_one_for_another_provider_learn_that_first(
    world: World, keeping: KeepingOpenAI
) -> None:
    elsewhere = await world.token(actions=MAY, provider="anthropic")
    path = f"{RESPONSES}/resp_never"
    assert (await world.call("tok_unknown", path=path, method="GET")).code == "invalid_token"
    assert (await world.call(elsewhere, path=path, method="GET")).code == "provider_not_granted"
    assert (await world.call(None, path=path, method="GET")).code == "invalid_token"


async def test_a_request_about_what_is_kept_sends_no_body_and_no_type(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)
    response_id = await ask(world, token)
    await world.call(token, {"model": "x"}, path=f"{RESPONSES}/{response_id}?include=x&stream=true", method="GET")
    asked: Asked = world.provider.asked[-1]
    assert (asked.method, asked.target, asked.body) == ("GET", f"/v1/responses/{response_id}", b"")
    assert asked.header("content-type") == ""
    assert asked.header("authorization") == f"Bearer {KEY}"


async def test_an_answer_whose_id_cannot_be_written_down_is_not_given(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY)

    async def refuse(tx: AsyncSession) -> None:
        # No other statement than that of the object fails.
        connection = await tx.connection()
        await connection.exec_driver_sql("ALTER TABLE provider_object RENAME TO gone")

    await world.db.write(refuse)
    answered = await world.call(token, ASK, path=RESPONSES)
    assert (answered.status, answered.code) == (503, "unavailable")
    (call,) = await world.at_rest()
    assert (call.mark, call.input_tokens, call.output_tokens) == ("reported", 10, 5)
    await world.db.write(_restored)


async def _restored(tx: AsyncSession) -> None:
    await (await tx.connection()).exec_driver_sql("ALTER TABLE gone RENAME TO provider_object")
