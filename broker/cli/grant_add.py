"""broker grant add: the operator's own decision, which no setting caps."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, say, say_json, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.key_choice import Strategy, choose_keys, read_strategy
from broker.core.access import Access
from broker.core.clock import to_seconds
from broker.core.details import MAX_BYTES, BadDetails, parse_details
from broker.ledger.limits import open_access
from broker.oauth.fapi import must_prove
from broker.oauth.issue import IssuedToken, issue_access_token
from broker.oauth.signing import load_or_make_signing_keys
from broker.store import clients, credentials, grants, spare_keys, users
from broker.store.grant_tables import Grant
from broker.store.granting import Given, create_grant
from broker.store.tables import Credential, User

FOR_EVER = 10**10
"""More seconds than any grant lives: a token then ends with its grant."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    email: str
    client_id: str
    details: tuple[Access, ...]
    credential_ids: tuple[str, ...]
    strategy: str
    token: bool
    expires_in: int | None


def add(
    user: Annotated[str, typer.Option(metavar="EMAIL", help="Whose grant it is.")],
    client: Annotated[str, typer.Option(metavar="CLIENT_ID", help="The app that may use it.")],
    details: Annotated[str, typer.Option(metavar="FILE|-", help="authorization_details, a JSON array.")],
    credential: Annotated[
        list[str],
        typer.Option(
            metavar="ID",
            help="A key to lend, the first before the next. Else the user's only one, else the operator's.",
        ),
    ] = [],  # noqa: B006 - typer reads the default and never changes it
    strategy: Strategy = "priority",
    token: Annotated[bool, typer.Option("--token", help="Print an access token, too; it is shown once.")] = False,
    expires_in: Annotated[int | None, typer.Option(metavar="SECONDS", min=1, help="How long the token lives.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a new grant without asking anybody."""
    wanted = _Wanted(
        user, client, _read_details(details), tuple(credential), read_strategy(strategy), token, expires_in
    )
    grant, issued = at_desk(lambda desk: _add(desk, wanted))
    told: dict[str, str | int] = {"grant_id": grant.id}
    if issued is not None:
        told |= {"access_token": issued.token.reveal(), "expires_in": issued.expires_in}
    if as_json:
        say_json(told)
        return
    for label, value in told.items():
        say(f"{label}  {value}")


def _read_details(source: str) -> tuple[Access, ...]:
    try:
        if source == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        found = parse_details(raw.decode(), "token")
    except OSError as error:
        wrong(f"The file {source!r} cannot be read ({error.strerror}).")
    except UnicodeDecodeError:
        wrong("The details are not UTF-8.")
    except BadDetails as error:
        wrong(f"The details are refused: {error}.")
    for element in found:
        _require_whole(element)
    return found


def _require_whole(element: Access) -> None:
    """What a person would be asked at consent must stand in the file, since nobody is asked."""
    present = {"models": element.models, "actions": element.actions, "budget": element.budget}
    missing = [name for name, value in present.items() if not value]
    if missing:
        wrong(f"The details are refused: {missing[0]} is missing for {element.provider}.")
    if (element.expires_in is None) == (element.expires_at is None):
        wrong(f"The details are refused: {element.provider} needs an end, expires_in or expires_at.")
    if element.identifier is not None:
        wrong("The details are refused: identifier is for tokens; choose a key with --credential.")


async def _add(desk: Desk, wanted: _Wanted) -> tuple[Grant, IssuedToken | None]:
    for element in wanted.details:
        desk.provider(element.provider)
    vault, now = await desk.vault(), desk.now()
    settings, chosen = desk.settings, await desk.user(wanted.email)

    async def write(tx: AsyncSession) -> tuple[Grant, IssuedToken | None]:
        person = await _may_hold(tx, chosen, wanted)
        await credentials.ensure_environment(tx, desk.registry.names_with_environment_key(), now)
        keys = [await choose_keys(tx, person, each.provider, wanted.credential_ids) for each in wanted.details]
        given = [_given(element, its[0], now) for element, its in zip(wanted.details, keys, strict=True)]
        grant = await create_grant(tx, person.id, wanted.client_id, "operator", given, now)
        for access, its in zip(await grants.load_accesses(tx, grant.id), keys, strict=True):
            await spare_keys.lend(tx, access, [row.id for row in its], wanted.strategy)
            await open_access(tx, access, now)
        await record(tx, now, "grant.added", OPERATOR, grant.id, accesses=len(given), token=wanted.token)
        if not wanted.token:
            return grant, None
        signer = await load_or_make_signing_keys(tx, vault, now, settings)
        lifetime = FOR_EVER if wanted.expires_in is None else wanted.expires_in
        return grant, await issue_access_token(tx, signer, settings, grant, now=now, lifetime=lifetime)

    return await desk.db.write(write)


async def _may_hold(tx: AsyncSession, chosen: User, wanted: _Wanted) -> User:
    person = await users.load(tx, chosen.id)
    if person is None or person.disabled_at is not None:
        wrong(f"{chosen.email} is disabled.")
    client = await clients.load(tx, wanted.client_id)
    if client is None:
        wrong(f"There is no client {wanted.client_id!r}.")
    if wanted.token and must_prove(client):
        wrong("This client has only tokens bound to a key of its own, which it gets itself: leave --token out.")
    return person


def _given(element: Access, key: Credential, now: int) -> Given:
    begins = to_seconds(now)
    end = element.expires_at if element.expires_in is None else begins + element.expires_in
    if end is None or end <= begins:
        wrong(f"The details are refused: the access to {element.provider} has ended already.")
    return Given(key.id, replace(element, expires_in=None, expires_at=end))
