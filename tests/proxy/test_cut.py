"""What its owner takes away ends running calls within two seconds, with the dialect's own error."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.store import grants, tokens
from broker.store.grant_tables import Access, AccessToken, Grant
from broker.store.tables import Credential, User
from tests.fake_provider import Asked, chunk, delta, event, head
from tests.patience import promised
from tests.proxy.world import ASK, GRANT_OF, World

PROMISED = promised(2, beside_others=20)

Change = Callable[[World, AsyncSession], Awaitable[object]]


async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
    if asked.json().get("stream"):
        writer.write(head(200, "text/event-stream"))
        while True:
            writer.write(chunk(event(delta("tick"))))
            await writer.drain()
            await asyncio.sleep(0.05)
    await asyncio.sleep(60)


def moved(event_: GrantEvent) -> Change:
    async def change(world: World, tx: AsyncSession) -> None:
        grant = (await tx.exec(select(Grant))).one()
        await grants.move(tx, grant.id, event_, world.clock())

    return change


def updated(table: Any, **values: Any) -> Change:
    async def change(world: World, tx: AsyncSession) -> None:
        now = {name: world.clock() if value is ... else value for name, value in values.items()}
        await tx.exec(update(table).values(**now))

    return change


CHANGES: dict[str, tuple[Change, int, str]] = {
    "revoked": (moved(GrantEvent.REVOKE), 401, "invalid_token"),
    "paused": (moved(GrantEvent.PAUSE), 403, "grant_paused"),
    "frozen": (moved(GrantEvent.FREEZE), 403, "grant_frozen"),
    "model taken away": (updated(Access, models='["gpt-4o"]'), 403, "model_not_granted"),
    "action taken away": (updated(Access, actions='["embeddings"]'), 403, "action_not_granted"),
    "access ended": (updated(Access, ended_at=...), 401, "invalid_token"),
    "end moved to now": (updated(Access, ends_at=...), 401, "invalid_token"),
    "token revoked": (updated(AccessToken, revoked_at=...), 401, "invalid_token"),
    "user disabled": (updated(User, disabled_at=...), 401, "invalid_token"),
    "key removed": (updated(Credential, removed_at=..., sealed=""), 503, "provider_key_unavailable"),
}


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "no head yet"])
@pytest.mark.parametrize("name", CHANGES)
async def test_a_running_call_is_cut(world: World, name: str, streamed: bool) -> None:
    change, status, code = CHANGES[name]
    world.provider.script = endless
    token = await world.token()
    call = asyncio.create_task(world.call(token, ASK | {"stream": streamed}))
    await _running(world)
    await world.change(lambda tx: change(world, tx))
    async with asyncio.timeout(PROMISED):
        answered = await call
    assert answered.status == (200 if streamed else status)
    assert f'"code":"{code}"'.encode() in answered.body
    [row] = await world.at_rest()
    assert (row.mark, row.cost, row.outcome) == ("estimated", row.hold, code)


async def test_a_call_is_cut_when_a_token_above_its_own_is_revoked(world: World) -> None:
    world.provider.script = endless
    top = await world.token()
    child, cap = "tok_child", '{"models":["gpt-4o-mini"],"actions":["chat"]}'

    async def give(tx: AsyncSession) -> None:
        parent, access = await tx.get_one(AccessToken, top), (await tx.exec(select(Access))).one()
        same: dict[str, Any] = {
            "grant_id": parent.grant_id,
            "client_id": parent.client_id,
            "parent_jti": top,
            "ends_at": parent.ends_at,
        }
        tx.add(AccessToken(jti=child, created_at=1, caps=f'{{"{access.id}":{cap}}}', **same))
        GRANT_OF[child] = parent.grant_id

    await world.db.write(give)
    call = asyncio.create_task(world.call(child, ASK | {"stream": True}))
    await _running(world)
    await world.db.write(lambda tx: tokens.revoke_access(tx, top, world.clock()))
    async with asyncio.timeout(PROMISED):
        answered = await call
    assert b'"code":"invalid_token"' in answered.body
    assert (await world.call(child)).code == "invalid_token"


async def test_a_call_is_cut_when_its_access_ends_by_the_clock(world: World) -> None:
    world.provider.script = endless
    token = await world.token(ends_at=world.clock() + 5_000_000)
    call = asyncio.create_task(world.call(token, ASK | {"stream": True}))
    await _running(world)
    world.clock.turn(6)
    async with asyncio.timeout(PROMISED):
        answered = await call
    assert b'"code":"invalid_token"' in answered.body


async def test_an_unrelated_change_cuts_nothing(world: World) -> None:
    world.provider.script = endless
    token = await world.token()
    call = asyncio.create_task(world.call(token, ASK | {"stream": True}))
    await _running(world)
    await world.change(lambda tx: tx.exec(update(Grant).where(col(Grant.id) == "none").values(state="paused")))
    await asyncio.sleep(0.8)
    assert not call.done()
    await world.service.app.stop(2)
    assert b'"code":"unavailable"' in (await call).body


async def _running(world: World) -> None:
    """Until the provider has the call."""
    async with asyncio.timeout(20):
        while not world.provider.asked:  # noqa: ASYNC110 - the fake says it by a list
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
