"""A grant as its owner reads it: the app, the keys it spends from, its figures, and one word for how it stands."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access as Element
from broker.core.credential import masked
from broker.core.errors import PageError
from broker.core.grant import LIVE, GrantState
from broker.core.strict_json import loads
from broker.ledger import history
from broker.ledger.limits import Figures, figures, figures_of
from broker.ledger.overall_used import Used, above_keys
from broker.ledger.view import grant_state
from broker.oauth.key_wanted import is_bound_already
from broker.providers.address import host_of
from broker.providers.registry import Registry, label
from broker.store import grants, lent
from broker.store.accesses import as_granted
from broker.store.credentials import ENVIRONMENT
from broker.store.grant_tables import Access, Grant
from broker.store.tables import Client, Credential, User
from broker.web.foreign import clean
from broker.web.tags import Tag, tag_of

MOST_NAME = 40

_WINDOWS = {"grant": "", "day": " today", "week": " this week", "month": " this month"}


@dataclass(frozen=True, slots=True)
class Part:
    """One access, with what it spends from and what is left of it."""

    access: Access
    element: Element
    """As it stood when it was read, whatever becomes of its row."""
    credential: Credential
    figures: Figures
    has_key: bool
    """False once its key was removed, was refused by the provider, or is missing in the environment."""
    has_ended: bool
    above: tuple[Used, ...] = ()
    """The limits above it that its calls are charged to as well."""

    @property
    def provider(self) -> str:
        return label(self.access.provider)

    @property
    def spent(self) -> int:
        return self.figures.money.settled + self.figures.money.overrun

    @property
    def ends_at(self) -> int:
        return self.access.ends_at

    @property
    def window(self) -> str:
        """What stands behind a limit that renews: today, this week, this month."""
        return _WINDOWS[self.access.budget_per]

    @property
    def spendable(self) -> int:
        """The most it could still come to, what is reserved included."""
        return 0 if self.has_ended else (self.figures.money.remaining or 0) + self.figures.money.held

    @property
    def is_used_up(self) -> bool:
        return self.figures.money.is_reached or self.figures.requests.is_reached

    @property
    def is_reached(self) -> bool:
        return self.is_used_up or any(each.is_reached for each in self.above)


@dataclass(frozen=True, slots=True)
class Lent:
    grant: Grant
    client: Client
    parts: tuple[Part, ...]
    state: GrantState
    last_used: int | None
    tag: Tag

    @property
    def name(self) -> str:
        return app_name(self.client)

    @property
    def address(self) -> str:
        return app_address(self.client)

    @property
    def path(self) -> str:
        return f"/grants/{self.grant.id}"

    @property
    def purpose(self) -> str:
        """What the form tokens of this grant are for."""
        return f"grant:{self.grant.id}"

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def is_resumable(self) -> bool:
        """Whether its user may let it go on: what the operator paused, only the operator resumes."""
        return self.state is GrantState.PAUSED and self.grant.paused_by != grants.OPERATOR

    @property
    def is_bound_already(self) -> bool:
        """Whether the app signs its requests anyway (DPoP), whatever this person wants of it."""
        return is_bound_already(self.client)

    @property
    def ends_at(self) -> int:
        return max((part.access.ends_at for part in self.parts), default=self.grant.changed_at)

    @property
    def running(self) -> int:
        return sum(part.figures.running for part in self.parts)

    @property
    def held(self) -> int:
        return sum(part.figures.money.held for part in self.parts)


async def read_lent(tx: AsyncSession, registry: Registry, grant: Grant, client: Client, now: int) -> Lent:
    rows = await lent.accesses_of(tx, grant.id)
    known = {access.id: await figures(tx, access, now) for access, _ in rows}
    limits = await above_keys(tx, grant.user_id, (key for _, key in rows), now)
    return _lent(registry, grant, client, rows, _Known(known, limits), await history.last_used(tx, grant.id), now)


async def read_some_lent(tx: AsyncSession, registry: Registry, grant_ids: Sequence[str], now: int) -> dict[str, Lent]:
    """Some of what was lent, by the ids of the grants, in as many statements however many they are."""
    rows = await lent.accesses_of(tx, *grant_ids)
    known = await figures_of(tx, [access for access, _ in rows], now)
    used = await history.last_uses(tx, *grant_ids)
    by_grant: dict[str, list[tuple[Access, Credential]]] = defaultdict(list)
    for access, credential in rows:
        by_grant[access.grant_id].append((access, credential))
    found = await lent.grants_among(tx, grant_ids)
    limits = {
        user_id: await above_keys(tx, user_id, (key for _, key in rows), now)
        for user_id in {grant.user_id for grant, _ in found}
    }
    return {
        grant.id: _lent(
            registry, grant, client, by_grant[grant.id], _Known(known, limits[grant.user_id]), used.get(grant.id), now
        )
        for grant, client in found
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """Figures by access, and the limits above them by key."""

    figures: dict[str, Figures]
    above: dict[str, list[Used]]


def _lent(
    registry: Registry,
    grant: Grant,
    client: Client,
    rows: list[tuple[Access, Credential]],
    known: _Known,
    used: int | None,
    now: int,
) -> Lent:
    parts = tuple(
        Part(
            access,
            as_granted(access, grant.client_id),
            credential,
            known.figures[access.id],
            has_key(credential, registry),
            access.ends_at <= now,
            _above(access, known.above.get(credential.id, ())),
        )
        for access, credential in rows
    )
    state = grant_state(grant, [part.access for part in parts], now)
    return Lent(grant, client, parts, state, used, tag_of(state, parts, used or grant.created_at, now))


def _above(access: Access, limits: Sequence[Used]) -> tuple[Used, ...]:
    """Of an access that has other keys to go on with, what limits all of them."""
    return tuple(each for each in limits if not access.strategy or each.limit.scope_kind == "provider")


async def require_lent(tx: AsyncSession, registry: Registry, user: User, grant_id: str, now: int) -> Lent:
    """Raises PageError 404, also for another person's grant."""
    found = await lent.grant_of(tx, user.id, grant_id)
    if found is None:
        what = "It may belong to somebody else, or its address is mistyped."
        raise PageError(404, "There is no such app here", what)
    return await read_lent(tx, registry, *found, now)


def app_name(client: Client) -> str:
    return shown_name(client.name)


def shown_name(name: str) -> str:
    return clean(name, MOST_NAME)


def app_address(client: Client) -> str:
    """The address the operator gave, or else the host that answers go to."""
    if client.address:
        return clean(urlsplit(client.address).netloc or client.address)
    addresses = loads(client.redirect_uris.encode())
    first = addresses[0] if isinstance(addresses, list) and addresses else ""
    url = urlsplit(str(first))
    return clean(url.netloc or (f"{url.scheme}:" if url.scheme else ""))


def has_key(credential: Credential, registry: Registry) -> bool:
    if credential.removed_at is not None or credential.state == "refused":
        return False
    if credential.base_url and registry.reach is None:
        return False
    return credential.source != ENVIRONMENT or registry.environment_key(credential.provider) is not None


def key_name(credential: Credential, instance: str) -> str:
    """Personal (OpenAI, sk-…9f2A), Lab (server at llm.example.com, sk-…9f2A); of the operator's keys no character is shown."""
    what = f"from {instance}" if credential.user_id is None else masked(credential.prefix, credential.last_four)
    return f"{credential.name} ({key_place(credential)}, {what})"


def key_place(credential: Credential) -> str:
    """Where it goes, with all requests that are made with it: to a provider, or to a person's own server."""
    return f"server at {called(credential)}" if credential.base_url else called(credential)


def called(credential: Credential) -> str:
    """Who answers to it: a provider, or the host of a person's own server."""
    return host_of(credential.base_url) if credential.base_url else label(credential.provider)
