"""broker provider: the upstreams that calls go to."""

import json
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.command import AsJson, group, say, say_rows, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.limit_options import Budget, PerOption, Requests, in_words
from broker.cli.provider_limit import limit_provider
from broker.cli.provider_oauth import oauth
from broker.ledger import overall_limits
from broker.providers.address import NAME, read_base_url
from broker.providers.known import BROUGHT, KINDS, kind_of
from broker.providers.registry import Provider as Upstream
from broker.store import providers
from broker.store.tables import DIALECTS
from broker.store.tables import Provider as Row

provider = group()
provider.command("oauth")(oauth)

Name = Annotated[str, typer.Argument(metavar="NAME")]
Like = Annotated[
    str | None, typer.Option(metavar="KNOWN", help="Which known server it is one of, where its name does not say so.")
]
Fields = Annotated[
    list[str], typer.Option("--allow-field", metavar="FIELD", help="A body field that is harmless here. Repeatable.")
]


@provider.command("list")
def listed(as_json: AsJson = False) -> None:
    """List the providers this broker knows."""

    async def work(desk: Desk) -> list[tuple[str, ...]]:
        limits = await desk.db.read(lambda tx: overall_limits.listed(tx, "provider"))
        said = {row.scope_id: in_words(row) for row in limits}
        known = [desk.provider(name) for name in desk.registry.names()]
        return [
            (
                each.name,
                each.dialect,
                each.base_url,
                each.like,
                " ".join(sorted(each.allow_fields)),
                said.get(each.name, ""),
            )
            for each in known
        ]

    titles = ("name", "dialect", "base_url", "like", "allow_fields", "limit")
    say_rows(titles, at_desk(work), as_json=as_json)


@provider.command("add")
def add(
    name: Name,
    dialect: Annotated[str | None, typer.Option(help=f"Its wire format: {', '.join(DIALECTS)}.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="What stands before the provider's own path, such as https://host.")
    ] = None,
    like: Like = None,
    allow_field: Fields = [],  # noqa: B006 - typer reads the default and never changes it
) -> None:
    """Add a provider: a known one by its name alone, or any server that speaks a known dialect."""
    if not NAME.fullmatch(name):
        wrong("A provider's name has small letters, digits, - and _, at most 64.")
    if name == BROUGHT:
        wrong(f"{BROUGHT} is the name of people's own servers, which BROKER_USER_SERVERS=true lets them bring.")
    known = like or name
    kind = kind_of(known)
    spoken, address = dialect or (kind.dialect if known in KINDS else None), base_url or kind.base_url
    if spoken is None or not address:
        by_name = ", ".join(each for each, kind in KINDS.items() if kind.base_url)
        wrong(f"Say --dialect (or --like) and --base-url. Known by name alone: {by_name}.")

    async def work(desk: Desk) -> None:
        if desk.registry.get(name) is not None:
            wrong(f"There is a provider {name!r} already. Change it with: broker provider set {name} …")
        fields, spoken_here = _fields(allow_field), _dialect(spoken)
        await _save(desk, "provider.added", Upstream(name, spoken_here, _address(address), fields, _known(like)))

    at_desk(work)
    say(f"Added {name}.")


@provider.command("set")
def change(
    name: Name,
    dialect: Annotated[str | None, typer.Option(help=f"Its wire format: {', '.join(DIALECTS)}.")] = None,
    base_url: Annotated[str | None, typer.Option(help="What stands before the provider's own path.")] = None,
    like: Like = None,
    allow_field: Fields = [],  # noqa: B006 - as above
    budget: Budget = None,
    requests: Requests = None,
    per: PerOption = None,
) -> None:
    """Change a provider, or limit what all calls to it may come to; fields are added to those already allowed."""
    limit, upstream = (budget, requests, per), (dialect, base_url, like) != (None, None, None) or allow_field
    if limit == (None, None, None) and not upstream:
        wrong("Say what to change: --dialect, --base-url, --like, --allow-field, --budget, --requests or --per.")

    async def work(desk: Desk) -> None:
        known = desk.provider(name)
        if limit != (None, None, None):
            await limit_provider(desk, name, limit)
        if not upstream:
            return
        spoken = known.dialect if dialect is None else _dialect(dialect)
        if known.is_brought and (dialect, base_url) != (None, None):
            wrong(f"Each key for {name} has an address of its own, of a server that speaks OpenAI's dialect.")
        address = known.base_url if base_url is None else _address(base_url)
        fields = known.allow_fields | _fields(allow_field)
        resembles = known.like if like is None else _known(like)
        await _save(desk, "provider.changed", Upstream(name, spoken, address, fields, resembles))

    at_desk(work)
    say(f"Changed {name}.")


async def _save(desk: Desk, event: str, wanted: Upstream) -> None:
    now, (name, dialect, base_url) = desk.now(), (wanted.name, wanted.dialect, wanted.base_url)
    fields = json.dumps(sorted(wanted.allow_fields))
    row = Row(name=name, dialect=dialect, base_url=base_url, allow_fields=fields, created_at=now, kind=wanted.like)

    async def write(tx: AsyncSession) -> None:
        before = await providers.load(tx, name)
        row.created_at = now if before is None else before.created_at
        await providers.save(tx, row)
        facts: dict[str, str | int] = {"dialect": dialect, "base_url": base_url, "fields": len(wanted.allow_fields)}
        await record(tx, now, event, OPERATOR, name, **facts)

    await desk.db.write(write)
    await desk.heeded()


def _known(name: str | None) -> str:
    if name is not None and name not in KINDS:
        wrong(f"{name!r} is no server that is known here. Known: {', '.join(KINDS)}.")
    return name or ""


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
