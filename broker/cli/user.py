"""broker user: people who can sign in."""

import sys
from enum import StrEnum
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, group, read_secret, say, say_json, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.limit_options import NONE, in_words
from broker.core.secret import Secret
from broker.identity.passwords import MOST_BYTES, Passwords, password_problem
from broker.identity.users import EmailTaken, add_user, disable_user, read_email
from broker.ledger import overall_limits
from broker.store import users
from broker.store.limit_tables import UserTier
from broker.store.tables import User

Email = Annotated[str, typer.Argument(metavar="EMAIL")]

user = group()


class Role(StrEnum):
    USER = "user"
    DEVELOPER = "developer"
    ADMIN = "admin"
    AUDITOR = "auditor"


@user.command("add")
def add(
    email: Email,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.USER,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of a prompt.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a person, who can then sign in."""
    address = read_email(email)
    if address is None:
        wrong(f"{email!r} is not an email address.")
    password = read_secret("Password", from_stdin=password_stdin, confirm=True)
    if len(password.reveal().encode()) > MOST_BYTES:
        wrong(f"A password has at most {MOST_BYTES} bytes.")
    problem = password_problem(password)
    if problem is not None:
        # The operator's word stands; people who choose their own password are held to the rule.
        print(f"Warning: this is a weak password. {problem}.", file=sys.stderr)
    try:
        added = at_desk(lambda desk: _add(desk, address, role.value, password))
    except EmailTaken as error:
        wrong(error.description)
    if as_json:
        say_json({"user_id": added.id})
    else:
        say(f"Added {added.email} ({added.role}).")


async def _add(desk: Desk, email: str, role: str, password: Secret) -> User:
    hashed = await Passwords().hash(password)

    async def work(tx: AsyncSession) -> User:
        return await add_user(tx, desk.now(), email, hashed, role, actor=OPERATOR)

    return await desk.db.write(work)


@user.command("list")
def listed(as_json: AsJson = False) -> None:
    """List everybody with an account."""

    async def read(tx: AsyncSession) -> list[tuple[str, ...]]:
        tiers = {each.user_id: each for each in await overall_limits.in_tiers(tx)}
        return [_line(row, tiers.get(row.id)) for row in await users.listed(tx)]

    rows = at_desk(lambda desk: desk.db.read(read))
    say_rows(("email", "role", "state", "user_id", "tier", "anchor_day"), rows, as_json=as_json)


def _line(row: User, tier: UserTier | None) -> tuple[str, ...]:
    state = "active" if row.disabled_at is None else "disabled"
    allotted = ("", "") if tier is None else (tier.tier, str(tier.anchor_day))
    return row.email, row.role, state, row.id, *allotted


@user.command("set")
def change(
    email: Email,
    tier: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose monthly allocation is theirs; none for no tier.")
    ] = None,
    anchor_day: Annotated[
        int | None, typer.Option(min=1, max=31, metavar="D", help="The day of the month on which it begins again.")
    ] = None,
) -> None:
    """Put a person into a tier; what they have used of this month's allocation stays used."""
    if tier is None and anchor_day is None:
        wrong("Say what to change: --tier or --anchor-day.")

    async def work(desk: Desk) -> str:
        found = await desk.user(email)
        return await desk.db.write(lambda tx: _set_tier(tx, desk.now(), found, tier, anchor_day))

    say(f"{email}: {at_desk(work)}.")


async def _set_tier(tx: AsyncSession, now: int, person: User, name: str | None, day: int | None) -> str:
    before = await overall_limits.tier_of(tx, person.id)
    name = name or (before.tier if before else NONE)
    if name == NONE:
        if day is not None:
            wrong(f"{person.email} is in no tier, so there is no anchor day. Say --tier NAME too.")
        await overall_limits.put_in_tier(tx, person.id, None, 1, now)
        await record(tx, now, "user.tier_changed", OPERATOR, person.pseudonym, tier=None)
        return "no tier"
    row = await overall_limits.load(tx, "tier", name)
    if row is None:
        wrong(f"There is no tier {name!r}. Add it with: broker tier add {name} …")
    anchor_day = day or (before.anchor_day if before else 1)
    await overall_limits.put_in_tier(tx, person.id, row, anchor_day, now)
    await record(tx, now, "user.tier_changed", OPERATOR, person.pseudonym, tier=name, anchor_day=anchor_day)
    return f"{name}, {in_words(row)}, from day {anchor_day}"


@user.command("disable")
def disable(email: Email) -> None:
    """Sign a person out everywhere and stop what runs on their grants, within two seconds."""

    async def work(desk: Desk) -> bool:
        found = await desk.user(email)

        async def write(tx: AsyncSession) -> bool:
            row = await users.load(tx, found.id)
            return row is not None and await disable_user(tx, desk.now(), row, OPERATOR)

        return await desk.db.write(write)

    say(f"Disabled {email}." if at_desk(work) else f"{email} was disabled already.")
