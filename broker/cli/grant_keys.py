"""broker grant keys and broker grant calls: by which keys a grant's calls go, and by which they went."""

from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, say, say_json, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.key_choice import Strategy, choose_keys, read_strategy
from broker.core.clock import to_seconds
from broker.ledger.history import recent_calls
from broker.store import grants, spare_keys, users
from broker.store.grant_tables import Access, Grant
from broker.store.ledger_tables import Reservation
from broker.store.pool_tables import CallAttempt

Id = Annotated[str, typer.Argument(metavar="ID")]

MOST = 1000


def keys(
    grant_id: Id,
    provider: Annotated[
        str, typer.Option(metavar="NAME", help="Of which access; needed where there are several.")
    ] = "",
    credential: Annotated[
        list[str], typer.Option(metavar="ID", help="A key to lend from now on, the first before the next.")
    ] = [],  # noqa: B006 - typer reads the default and never changes it
    strategy: Strategy = "priority",
    as_json: AsJson = False,
) -> None:
    """Show the keys that a grant's calls go by; with --credential, lend these and no others."""
    wanted = read_strategy(strategy)

    async def work(desk: Desk) -> list[dict[str, object]]:
        async def write(tx: AsyncSession) -> list[dict[str, object]]:
            grant = await _load(tx, grant_id)
            accesses = await grants.load_accesses(tx, grant.id)
            if credential:
                access = _one(accesses, provider)
                await _lend(tx, grant, access, credential, wanted, desk.now())
            return [await _told(tx, each) for each in accesses if provider in ("", each.provider)]

        return await desk.db.write(write)

    told = at_desk(work)
    if as_json:
        say_json(told)
        return
    for each in told:
        listed = each["credential_ids"]
        say(
            f"{each['provider']}: {', '.join(listed) if isinstance(listed, list) else ''} {each['strategy'] or ''}".rstrip()
        )


def calls(
    grant_id: Id,
    most: Annotated[int, typer.Option(help="How many, the newest first.", min=1, max=MOST)] = 20,
    as_json: AsJson = False,
) -> None:
    """List a grant's calls, each with its attempts: by which key, and how it ended."""

    async def work(desk: Desk) -> list[dict[str, object]]:
        async def read(tx: AsyncSession) -> list[dict[str, object]]:
            grant = await _load(tx, grant_id)
            found = await recent_calls(tx, grant.id, before=desk.now() + 1, most=most)
            rows = [row for row in found if isinstance(row, Reservation)]
            attempts = await spare_keys.attempts_of(tx, [row.id for row in rows])
            return [_call(row, attempts.get(row.id, [])) for row in rows]

        return await desk.db.read(read)

    told = at_desk(work)
    if as_json:
        say_json(told)
        return
    for call in told:
        say(
            f"{call['call_id']}  {call['model']}  {call['state']} {call['mark']}  {call['cost']} micro-dollars".rstrip()
        )
        tries = call["attempts"]
        for each in tries if isinstance(tries, list) else []:
            say(f"    {each['number']}. {each['credential_id']}  {each['outcome']} {each['status'] or ''}".rstrip())


def _call(row: Reservation, before: list[CallAttempt]) -> dict[str, object]:
    """The last attempt is the call itself."""
    attempts = [_attempt(each.place, each) for each in before]
    started_at = before[-1].ended_at if before else row.admitted_at
    last = CallAttempt(
        reservation_id=row.id, place=len(before) + 1, credential_id=row.credential_id, started_at=started_at,
        ended_at=row.ended_at or 0, status=row.status, outcome=row.outcome,
    )  # fmt: skip
    return {
        "call_id": row.id,
        "model": row.model,
        "admitted_at": to_seconds(row.admitted_at),
        "state": row.state,
        "mark": row.mark,
        "hold": row.hold,
        "cost": row.cost + row.overrun,
        "credential_id": row.credential_id,
        "attempts": [*attempts, _attempt(last.place, last)],
    }


def _attempt(number: int, row: CallAttempt) -> dict[str, object]:
    return {
        "number": number,
        "credential_id": row.credential_id,
        "started_at": to_seconds(row.started_at),
        "ended_at": to_seconds(row.ended_at) if row.ended_at else None,
        "status": row.status,
        "outcome": row.outcome,
    }


async def _lend(tx: AsyncSession, grant: Grant, access: Access, named: list[str], strategy: str, now: int) -> None:
    person = await users.load(tx, grant.user_id)
    if person is None:
        wrong("The grant's user is gone.")
    chosen = await choose_keys(tx, person, access.provider, named)
    if len(chosen) != len(dict.fromkeys(named)):
        wrong(f"Each --credential must be a key for {access.provider}.")
    await spare_keys.lend(tx, access, [row.id for row in chosen], strategy)
    await record(
        tx, now, "grant.keys_changed", OPERATOR, grant.id, access=access.id, keys=len(chosen), strategy=strategy
    )


def _one(accesses: list[Access], provider: str) -> Access:
    found = [each for each in accesses if provider in ("", each.provider)]
    if len(found) != 1:
        wrong("Say with --provider whose keys these are." if found else "The grant has no such access.")
    return found[0]


async def _told(tx: AsyncSession, access: Access) -> dict[str, object]:
    ids = await spare_keys.ids_of(tx, access)
    return {"provider": access.provider, "credential_ids": ids, "strategy": access.strategy or None}


async def _load(tx: AsyncSession, grant_id: str) -> Grant:
    row = await grants.load(tx, grant_id)
    if row is None:
        wrong(f"There is no grant {grant_id!r}.")
    return row
