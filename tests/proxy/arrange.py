"""What leads to each refusal of the proxy, in any dialect: things done, and then the call that is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import update
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantEvent
from broker.store import grants
from broker.store.grant_tables import Grant
from tests.fake_provider import Asked, whole
from tests.proxy.dialects import SPEECHES, Speech, begun
from tests.proxy.world import Answered, World

Arrange = Callable[[World, Speech], Awaitable[Answered]]
KEY = {"idempotency-key": "note-17"}


def called(token: str | None = "", /, *, limits: dict[str, Any] | None = None, **more: Any) -> Arrange:
    """One call; of a token with these limits unless one is named."""

    async def arrange(world: World, speech: Speech) -> Answered:
        shown = await speech.token(world, **(limits or {})) if token == "" else token
        return await speech.call(world, shown, **more)

    return arrange


def changed(table: Any, **values: Any) -> Arrange:
    """A call after the owner, or time, has changed something; `...` is now."""

    async def arrange(world: World, speech: Speech) -> Answered:
        token = await speech.token(world)
        given = {name: world.clock() if value is ... else value for name, value in values.items()}
        await world.change(lambda tx: tx.exec(update(table).values(**given)))
        return await speech.call(world, token)

    return arrange


def moved(event: GrantEvent) -> Arrange:
    async def arrange(world: World, speech: Speech) -> Answered:
        token = await speech.token(world)

        async def work(tx: AsyncSession) -> None:
            [grant] = (await tx.exec(select(Grant))).all()
            await grants.move(tx, grant.id, event, world.clock())

        await world.db.write(work)
        return await speech.call(world, token)

    return arrange


async def another_provider(world: World, speech: Speech) -> Answered:
    other = next(each for each in SPEECHES.values() if each.provider != speech.provider)
    return await speech.call(world, await other.token(world))


async def unknown_field(world: World, speech: Speech) -> Answered:
    return await speech.call(world, await speech.token(world), body=speech.ask | {"made_up": 1})


def at_the_provider(status: int) -> Arrange:
    async def arrange(world: World, speech: Speech) -> Answered:
        world.provider.script = saying(whole(speech.own_error("Bad key", status), status))
        return await speech.call(world, await speech.token(world))

    return arrange


def saying(raw: bytes) -> Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return script


def answered_with(raw: bytes, **more: Any) -> Arrange:
    async def arrange(world: World, speech: Speech) -> Answered:
        world.provider.script = saying(raw)
        return await speech.call(world, await speech.token(world), **more)

    return arrange


async def silence(world: World, speech: Speech) -> Answered:
    world.provider.script = saying(b"")
    world.loses_patience(first_byte=0.5)
    return await speech.call(world, await speech.token(world))


async def twice(world: World, speech: Speech, /, **limits: Any) -> Answered:
    token = await speech.token(world, **limits)
    assert (await speech.call(world, token)).status == 200
    return await speech.call(world, token)


def second(**limits: Any) -> Arrange:
    return lambda world, speech: twice(world, speech, **limits)


def beside_a_running_one(headers: dict[str, str], **limits: Any) -> Arrange:
    async def arrange(world: World, speech: Speech) -> Answered:
        token = await speech.token(world, **limits)
        world.provider.script = begun(speech)
        running = asyncio.create_task(speech.call(world, token, streamed=True, headers=headers))
        while not world.provider.asked:  # noqa: ASYNC110 - the fake says it by a list
            await asyncio.sleep(0.01)
        answered = await speech.call(world, token, streamed=True, headers=headers)
        await world.service.app.stop(2)
        await running
        return answered

    return arrange


def repeated(**more: Any) -> Arrange:
    async def arrange(world: World, speech: Speech) -> Answered:
        token = await speech.token(world)
        assert (await speech.call(world, token, headers=KEY)).status == 200
        return await speech.call(world, token, headers=KEY, **more)

    return arrange
