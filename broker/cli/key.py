"""broker key: what this broker holds of providers' keys; the keys themselves are never shown again."""

from dataclasses import dataclass
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, group, read_secret, say, say_json, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.key_address import place_of
from broker.cli.key_limit import limit
from broker.cli.limit_options import in_words
from broker.core.clock import utc
from broker.core.credential import NO_KEY, key_problem, masked
from broker.core.errors import BrokerError
from broker.core.handle import new_handle
from broker.core.secret import Secret
from broker.ledger import overall_limits
from broker.ledger.overall import key_scope
from broker.providers.check import KeyCheck, Verdict
from broker.providers.client import Waits, provider_client
from broker.providers.known import BROUGHT
from broker.providers.registry import Provider
from broker.store import credentials, quarantine, users
from broker.store.pool_tables import Quarantine
from broker.store.tables import Credential
from broker.vault.credentials import add_credential, find_same, open_credential, remove_credential

key = group()
key.command("limit")(limit)

Id = Annotated[str, typer.Argument(metavar="ID")]

_WHY = {
    "rate_limited": "limited by its provider",
    "refused": "refused by its provider",
    "no_credit": "out of credit",
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    provider: str
    email: str | None
    name: str
    check: bool
    base_url: str | None = None


@key.command("add")
def add(
    provider: Annotated[str, typer.Option(metavar="NAME", help="Whose key it is: openai, anthropic, …")],
    user: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Whose own key; without it, the operator's.")
    ] = None,
    name: Annotated[str, typer.Option(help="How its owner tells it from others.")] = "Personal",
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not ask the provider whether it takes the key.")
    ] = False,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="For a server that wants none: it gets a word that means nothing.")
    ] = False,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help=f"Where the person's own server is, of a key for {BROUGHT}.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Seal a provider's key, read from standard input or a prompt."""
    secret = Secret(new_handle(NO_KEY)) if no_key else read_secret("Key")
    added = at_desk(
        lambda desk: _add(desk, _Wanted(provider, user, name, not no_check, base_url), Secret(secret.reveal().strip()))
    )
    if as_json:
        say_json({"credential_id": added.id})
    else:
        say(f"Added {added.id} ({added.provider}, {masked(added.prefix, added.last_four)}).")


async def _add(desk: Desk, wanted: _Wanted, secret: Secret) -> Credential:
    upstream = place_of(desk, wanted.provider, wanted.base_url, is_persons=wanted.email is not None)
    problem = key_problem(secret.reveal(), upstream.name, upstream.label)
    if problem:
        wrong(f"{problem}.")
    owner = None if wanted.email is None else (await desk.user(wanted.email)).id
    state = await _judge(desk, upstream, secret) if wanted.check else "unchecked"
    vault = await desk.vault()

    async def write(tx: AsyncSession) -> Credential:
        address = upstream.base_url if upstream.is_brought else ""
        same = await find_same(tx, vault, user_id=owner, provider=upstream.name, key=secret, base_url=address)
        if same is not None:
            wrong(f"This key is here already: {same.id}.")
        return await add_credential(
            tx,
            vault,
            provider=upstream.name,
            key=secret,
            name=wanted.name.strip() or "Personal",
            user_id=owner,
            now=desk.now(),
            by=OPERATOR,
            state=state,
            base_url=address,
        )

    return await desk.db.write(write)


@key.command("list")
def listed(as_json: AsJson = False) -> None:
    """List all keys, by their last four characters."""

    async def work(desk: Desk) -> list[tuple[str, ...]]:
        return await desk.db.read(lambda tx: _rows(tx, desk.now()))

    columns = ("credential_id", "owner", "provider", "name", "key", "state", "limit", "rests", "base_url")
    say_rows(columns, at_desk(work), as_json=as_json)


async def _rows(tx: AsyncSession, now: int) -> list[tuple[str, ...]]:
    rows = [(row, "operator") for row in await credentials.of_operator(tx)]
    for user in await users.listed(tx):
        rows += [(row, user.email) for row in await credentials.of_user(tx, user.id)]
    limits = {each.scope_id: in_words(each) for each in await overall_limits.listed(tx, "credential")}
    resting = await quarantine.of(tx, [row for row, _ in rows], now)
    return [
        (
            *(row.id, owner, row.provider, row.name, _shown(row), row.state),
            *(limits.get(_scope(row), ""), _rests(resting.get(row.id)), row.base_url),
        )
        for row, owner in rows
    ]


@key.command("check")
def check(credential_id: Id) -> None:
    """Ask the provider whether it takes a key; one that it takes rests no longer."""

    async def work(desk: Desk) -> tuple[Credential, Verdict]:
        row = await _load(desk, credential_id)
        secret = open_credential(await desk.vault(), row, desk.registry.environment_key)
        if secret is None:
            wrong("The environment does not hold this key now.")
        place = desk.provider(row.provider).at(row.base_url)
        if place is None:
            wrong("This key is for another address than its provider has now. Add it again.")
        verdict = await _ask(desk, place, secret)
        if verdict != "unreachable":
            await desk.db.write(lambda tx: _note(tx, row, verdict, desk.now()))
        return row, verdict

    row, verdict = at_desk(work)
    say(f"{row.id} ({row.provider}): {verdict}")
    raise typer.Exit(0 if verdict == "working" else 1)


@key.command("remove")
def remove(credential_id: Id) -> None:
    """Erase a key; apps that use it stop at once."""

    async def work(desk: Desk) -> bool:
        row = await _load(desk, credential_id)

        async def write(tx: AsyncSession) -> bool:
            fresh = await credentials.load(tx, row.id)
            return fresh is not None and await remove_credential(tx, fresh, now=desk.now(), by=OPERATOR)

        return await desk.db.write(write)

    if not at_desk(work):
        wrong("This key is in the environment, not here: take it out there.")
    say(f"Removed {credential_id}.")


async def _load(desk: Desk, credential_id: str) -> Credential:
    row = await desk.db.read(lambda tx: credentials.load(tx, credential_id))
    if row is None or row.removed_at is not None:
        wrong(f"There is no key {credential_id!r}.")
    return row


async def _judge(desk: Desk, upstream: Provider, secret: Secret) -> str:
    verdict = await _ask(desk, upstream, secret)
    if verdict == "refused":
        wrong(f"{upstream.label} refused this key, so it was not saved.")
    if verdict == "unreachable":
        raise BrokerError(
            f"{upstream.label} did not answer, so the key was not saved. With --no-check it is saved as it is."
        )
    return verdict


async def _ask(desk: Desk, upstream: Provider, secret: Secret) -> Verdict:
    seconds = desk.settings.upstream_connect_seconds
    client = provider_client(Waits(seconds, seconds, seconds), desk.registry.reach)
    try:
        return await KeyCheck(client)(upstream, secret)
    finally:
        await client.close()


async def _note(tx: AsyncSession, row: Credential, verdict: Verdict, now: int) -> None:
    await credentials.mark(tx, row, verdict, now)
    if verdict == "working":
        await quarantine.end(tx, row.id)
    await record(tx, now, "credential.checked", OPERATOR, row.id, state=verdict)


def _scope(row: Credential) -> str:
    """Of the operator's key, the limit of each user."""
    return key_scope(row.user_id or "", row.id)


def _rests(row: Quarantine | None) -> str:
    return "" if row is None else f"{_WHY[row.cause]}, until {utc(row.until)}"


def _shown(row: Credential) -> str:
    return "in the environment" if row.source == credentials.ENVIRONMENT else masked(row.prefix, row.last_four)
