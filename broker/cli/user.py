"""broker user: people who can sign in."""

import sys
from enum import StrEnum
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR
from broker.cli.command import AsJson, group, read_secret, say, say_json, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.core.secret import Secret
from broker.identity.passwords import MOST_BYTES, Passwords, password_problem
from broker.identity.users import EmailTaken, add_user, disable_user, read_email
from broker.store import users
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
    rows = at_desk(lambda desk: desk.db.read(users.listed))
    told = [(row.email, row.role, "active" if row.disabled_at is None else "disabled", row.id) for row in rows]
    say_rows(("email", "role", "state", "user_id"), told, as_json=as_json)


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
