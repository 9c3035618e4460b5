"""The providers this installation knows: built in, or configured by the operator."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from broker.core.secret import Secret
from broker.providers.address import clean_base_url, host_of
from broker.providers.known import BROUGHT, BUILT_IN, KINDS, Kind, kind_of
from broker.providers.reach import Reach
from broker.store import providers
from broker.store.database import Database
from broker.store.tables import Provider as Row


@dataclass(frozen=True, slots=True)
class Provider:
    """A named upstream; `base_url` is what stands before the provider's own path, without /v1."""

    name: str
    dialect: str
    base_url: str
    allow_fields: frozenset[str] = frozenset()
    like: str = ""
    """The known server that it is one of, where its own name does not say so."""
    is_brought: bool = False
    """Whether it is the people's own servers: `base_url` is then that of a key, and empty before one is chosen."""

    def at(self, base_url: str) -> "Provider | None":
        """As it is reached with a key that is for this address; None where the key is not for this provider."""
        if self.is_brought != bool(base_url):
            return None
        return replace(self, base_url=base_url) if base_url else self

    @property
    def kind(self) -> Kind:
        return kind_of(self.like or self.name)

    def own_path(self, path: str) -> str:
        """A path without what stands in the base address already: some SDKs add that themselves."""
        start = urlsplit(self.base_url).path
        return path[len(start) :] if start and path.startswith(f"{start}/") else path

    @property
    def label(self) -> str:
        return label(self.name)

    @property
    def called(self) -> str:
        """Who answers there: a provider, or the host of a person's own server."""
        return host_of(self.base_url) if self.is_brought and self.base_url else self.label


class Registry:
    """Knows providers by name. Rows of the database win over the environment, the environment over what is built in.

    `reach` says where servers of people's own may be; without it nobody may bring one.
    """

    def __init__(self, environ: Mapping[str, str], *, reach: Reach | None = None) -> None:
        self.reach = reach
        self._environ = environ
        self._given = _from_environment(environ) | ({} if reach is None else _BROUGHT)
        self._providers = dict(self._given)

    async def refresh(self, db: Database) -> None:
        """To be called at start and at each look at the change counter, so that a running server learns of a new one."""
        rows = await db.read(providers.every)
        known = (_from_row(row) for row in rows)
        self._providers = self._given | {
            each.name: each for each in known if not each.is_brought or self.reach is not None
        }

    def get(self, name: str) -> Provider | None:
        return self._providers.get(name)

    def names(self) -> list[str]:
        return sorted(self._providers)

    def environment_key(self, name: str) -> Secret | None:
        """The operator's key of a provider in the environment, such as OPENAI_API_KEY; it is stored nowhere."""
        known = self._providers.get(name)
        if known is not None and known.is_brought:
            return None
        names = (f"{_variable(name)}_API_KEY", *kind_of(name).keys)
        value = next((value for each in names if (value := self._environ.get(each, "").strip())), "")
        # What cannot stand in a header is no key: a quotation mark or a line break that was copied with it.
        return Secret(value) if value and all("!" <= character <= "~" for character in value) else None

    def names_with_environment_key(self) -> list[str]:
        return [name for name in self.names() if self.environment_key(name) is not None]


def label(name: str) -> str:
    """How pages call a provider."""
    return kind_of(name).label or name.capitalize()


def _from_row(row: Row) -> Provider:
    fields = frozenset(json.loads(row.allow_fields))
    brought = row.name == BROUGHT and not row.base_url
    return Provider(row.name, row.dialect, clean_base_url(row.base_url), fields, row.kind, brought)


_BROUGHT = {BROUGHT: Provider(BROUGHT, KINDS[BROUGHT].dialect, "", is_brought=True)}


def _from_environment(environ: Mapping[str, str]) -> dict[str, Provider]:
    return {name: _built_in(name, environ) for name in BUILT_IN}


def _built_in(name: str, environ: Mapping[str, str]) -> Provider:
    kind = KINDS[name]
    url = environ.get(f"BROKER_PROVIDER_{_variable(name)}_BASE_URL") or kind.base_url
    return Provider(name, kind.dialect, clean_base_url(url))


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
