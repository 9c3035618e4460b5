"""The providers this installation knows: built in, or configured by the operator."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from broker.core.secret import Secret
from broker.providers.known import BUILT_IN, KINDS, Kind, kind_of
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


class Registry:
    """Knows providers by name. Rows of the database win over the environment, the environment over what is built in."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._providers = _from_environment(environ)

    async def refresh(self, db: Database) -> None:
        """To be called at start and at each look at the change counter, so that a running server learns of a new one."""
        rows = await db.read(providers.every)
        self._providers = _from_environment(self._environ) | {row.name: _from_row(row) for row in rows}

    def get(self, name: str) -> Provider | None:
        return self._providers.get(name)

    def names(self) -> list[str]:
        return sorted(self._providers)

    def environment_key(self, name: str) -> Secret | None:
        """The operator's key of a provider in the environment, such as OPENAI_API_KEY; it is stored nowhere."""
        names = (f"{_variable(name)}_API_KEY", *kind_of(name).keys)
        value = next((value for each in names if (value := self._environ.get(each, "").strip())), "")
        # What cannot stand in a header is no key: a quotation mark or a line break that was copied with it.
        return Secret(value) if value and all("!" <= character <= "~" for character in value) else None

    def names_with_environment_key(self) -> list[str]:
        return [name for name in self.names() if self.environment_key(name) is not None]


def label(name: str) -> str:
    """How pages call a provider."""
    return kind_of(name).label or name.capitalize()


def clean_base_url(url: str) -> str:
    """A trailing slash, and a trailing /v1, are taken as the same address without it."""
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def _from_row(row: Row) -> Provider:
    fields = frozenset(json.loads(row.allow_fields))
    return Provider(row.name, row.dialect, clean_base_url(row.base_url), fields, row.kind)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Provider]:
    return {name: _built_in(name, environ) for name in BUILT_IN}


def _built_in(name: str, environ: Mapping[str, str]) -> Provider:
    kind = KINDS[name]
    url = environ.get(f"BROKER_PROVIDER_{_variable(name)}_BASE_URL") or kind.base_url
    return Provider(name, kind.dialect, clean_base_url(url))


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
