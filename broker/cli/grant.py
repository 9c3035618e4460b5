"""broker grant: what has been lent to whom."""

import json
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, group, say, say_json, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.grant_add import add
from broker.cli.grant_keys import calls, keys
from broker.cli.grant_shown import lines
from broker.core.grant import GrantEvent, GrantState, state_at
from broker.core.money import to_decimal
from broker.ledger.agents import Agent, agents_of
from broker.ledger.view import Wire, grant_object, grant_state
from broker.store import grants
from broker.store.grant_tables import Grant

grant = group()
grant.command("add")(add)
grant.command("keys")(keys)
grant.command("calls")(calls)

Id = Annotated[str, typer.Argument(metavar="ID")]


@grant.command("list")
def listed(as_json: AsJson = False) -> None:
    """List every grant, by person."""

    async def work(desk: Desk) -> list[tuple[str, ...]]:
        now = desk.now()
        return [
            (row.grant_id, row.email, row.client_id, state_at(row.state, row.ends_at, now).value, row.origin)
            for row in await desk.db.read(grants.listed)
        ]

    say_rows(("grant_id", "user", "client_id", "state", "origin"), at_desk(work), as_json=as_json)


@grant.command("show")
def show(grant_id: Id, as_json: AsJson = False) -> None:
    """Show a grant: its limits, what was used and what is left."""

    async def work(desk: Desk) -> tuple[Wire, list[Agent]]:
        async def read(tx: AsyncSession) -> tuple[Wire, list[Agent]]:
            row = await _load(tx, grant_id)
            return await grant_object(tx, row, desk.now()), await agents_of(tx, row.id, desk.now())

        return await desk.db.read(read)

    told, agents = at_desk(work)
    if as_json:
        say_json(told)
        return
    for line in lines(told):
        say(line)
    for agent in agents:
        spent, limit = to_decimal(agent.spent), "" if agent.limit is None else f" of ${to_decimal(agent.limit)}"
        # In quotation marks and ASCII: it is the app's own word.
        name = json.dumps(agent.name)
        say(f"  {'  ' * agent.depth}agent {name} {agent.jti}: ${spent}{limit}; {', '.join(agent.models)}")


@grant.command("pause")
def pause(grant_id: Id) -> None:
    """Refuse its calls until you resume it, which its user then cannot; running ones are cut within two seconds."""
    _move(grant_id, {GrantState.ACTIVE: GrantEvent.PAUSE}, "paused")


@grant.command("resume")
def resume(grant_id: Id) -> None:
    """Let a paused grant, or one frozen after an overrun, go on."""
    _move(grant_id, {GrantState.PAUSED: GrantEvent.RESUME, GrantState.FROZEN: GrantEvent.UNFREEZE}, "resumed")


@grant.command("revoke")
def revoke(grant_id: Id) -> None:
    """End a grant for good, with all its tokens; running calls are cut within two seconds."""
    live = (GrantState.ACTIVE, GrantState.PAUSED, GrantState.FROZEN)
    _move(grant_id, dict.fromkeys(live, GrantEvent.REVOKE), "revoked")


def _move(grant_id: str, events: dict[GrantState, GrantEvent], done: str) -> None:
    async def work(desk: Desk) -> bool:
        now = desk.now()

        async def write(tx: AsyncSession) -> bool:
            row = await _load(tx, grant_id)
            event = events.get(GrantState(await _state(tx, row, now)))
            is_kept = done == "paused" and await grants.keep_paused(tx, row.id, now)
            if not is_kept and (event is None or not await grants.move(tx, row.id, event, now, by=OPERATOR)):
                wrong(f"A grant that is {await _state(tx, row, now)} cannot be {done}.")
            await record(tx, now, f"grant.{done}", OPERATOR, row.id)
            return True

        return await desk.db.write(write)

    at_desk(work)
    say(f"{done.capitalize()} {grant_id}.")


async def _load(tx: AsyncSession, grant_id: str) -> Grant:
    row = await grants.load(tx, grant_id)
    if row is None:
        wrong(f"There is no grant {grant_id!r}.")
    return row


async def _state(tx: AsyncSession, row: Grant, now: int) -> str:
    return grant_state(row, await grants.load_accesses(tx, row.id), now).value
