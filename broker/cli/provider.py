"""broker provider: the upstreams that calls go to."""

import json
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, group, say, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.providers.address import NAME, read_base_url
from broker.providers.known import DIALECT, KNOWN
from broker.store import providers
from broker.store.tables import DIALECTS, Provider

provider = group()

Name = Annotated[str, typer.Argument(metavar="NAME")]
Fields = Annotated[
    list[str], typer.Option("--allow-field", metavar="FIELD", help="A body field that is harmless here. Repeatable.")
]


@provider.command("list")
def listed(as_json: AsJson = False) -> None:
    """List the providers this broker knows."""

    async def work(desk: Desk) -> list[tuple[str, ...]]:
        known = [desk.provider(name) for name in desk.registry.names()]
        return [(each.name, each.dialect, each.base_url, " ".join(sorted(each.allow_fields))) for each in known]

    say_rows(("name", "dialect", "base_url", "allow_fields"), at_desk(work), as_json=as_json)


@provider.command("add")
def add(
    name: Name,
    dialect: Annotated[str | None, typer.Option(help=f"Its wire format: {', '.join(DIALECTS)}.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="What stands before the provider's own path, such as https://host.")
    ] = None,
    allow_field: Fields = [],  # noqa: B006 - typer reads the default and never changes it
) -> None:
    """Add a provider: a known one by its name alone, or any server that speaks a known dialect."""
    if not NAME.fullmatch(name):
        wrong("A provider's name has small letters, digits, - and _, at most 64.")
    spoken, address = dialect or (DIALECT if name in KNOWN else None), base_url or KNOWN.get(name)
    if spoken is None or address is None:
        wrong(f"Say --dialect and --base-url. Known by name alone: {', '.join(KNOWN)}.")

    async def work(desk: Desk) -> None:
        if desk.registry.get(name) is not None:
            wrong(f"There is a provider {name!r} already. Change it with: broker provider set {name} …")
        await _save(desk, "provider.added", name, _dialect(spoken), _address(address), _fields(allow_field))

    at_desk(work)
    say(f"Added {name}.")


@provider.command("set")
def change(
    name: Name,
    dialect: Annotated[str | None, typer.Option(help=f"Its wire format: {', '.join(DIALECTS)}.")] = None,
    base_url: Annotated[str | None, typer.Option(help="What stands before the provider's own path.")] = None,
    allow_field: Fields = [],  # noqa: B006 - as above
) -> None:
    """Change a provider; fields are added to those already allowed."""
    if dialect is None and base_url is None and not allow_field:
        wrong("Say what to change: --dialect, --base-url or --allow-field.")

    async def work(desk: Desk) -> None:
        known = desk.provider(name)
        spoken = known.dialect if dialect is None else _dialect(dialect)
        address = known.base_url if base_url is None else _address(base_url)
        await _save(desk, "provider.changed", name, spoken, address, known.allow_fields | _fields(allow_field))

    at_desk(work)
    say(f"Changed {name}.")


async def _save(desk: Desk, event: str, name: str, dialect: str, base_url: str, fields: frozenset[str]) -> None:
    now = desk.now()
    row = Provider(
        name=name, dialect=dialect, base_url=base_url, allow_fields=json.dumps(sorted(fields)), created_at=now
    )

    async def write(tx: AsyncSession) -> None:
        before = await providers.load(tx, name)
        row.created_at = now if before is None else before.created_at
        await providers.save(tx, row)
        await record(tx, now, event, OPERATOR, name, dialect=dialect, base_url=base_url, fields=len(fields))

    await desk.db.write(write)


def _dialect(text: str) -> str:
    if text not in DIALECTS:
        wrong(f"The dialect must be one of: {', '.join(DIALECTS)}.")
    return text


def _address(text: str) -> str:
    address = read_base_url(text)
    if address is None:
        wrong(f"{text!r} is not a plain http:// or https:// address without user, query and fragment.")
    return address


def _fields(names: list[str]) -> frozenset[str]:
    if not all(name.isidentifier() and name.isascii() and len(name) <= 64 for name in names):
        wrong("A body field is a plain name, such as top_k.")
    return frozenset(names)
