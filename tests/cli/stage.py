"""A user with a key, and a client, for tests of grants."""

import json
from dataclasses import dataclass
from typing import Any

from tests.cli.conftest import Broker, Told
from tests.cli.once import once

WHOLE: dict[str, Any] = {
    "type": "ai_model_access",
    "provider": "openai",
    "models": ["gpt-4o-mini"],
    "actions": ["chat"],
    "budget": {"amount": "5.00", "currency": "USD"},
    "expires_in": 3600,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A user with one key of OpenAI, and a client."""

    broker: Broker
    client_id: str
    key_id: str

    def add(self, *words: str, **changes: Any) -> Told:
        details = {name: value for name, value in (WHOLE | changes).items() if value is not None}
        return self.add_raw(json.dumps([details]), *words)

    def add_raw(self, details: str | bytes, *words: str) -> Told:
        who = ("--user", "mia@example.com", "--client", self.client_id)
        return self.broker("grant", "add", *who, "--details", "-", "--json", *words, said=details)

    def show(self, grant_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.broker("grant", "show", grant_id, "--json").json()
        return shown


@once
def mia(broker: Broker) -> str:
    """A user; gives the id."""
    told = broker("user", "add", "mia@example.com", "--password-stdin", "--json", said="a few plain words")
    return str(told.json()["user_id"])


def furnished(broker: Broker) -> Stage:
    return Stage(broker, *_furnished(broker))


@once
def _furnished(broker: Broker) -> tuple[str, str]:
    mia(broker)
    client = broker("client", "add", "Notes", "--public", "--json").json()["client_id"]
    key = broker(
        "key", "add", "--provider", "openai", "--user", "mia@example.com", "--no-check", "--json", said="sk-of-mia-0123"
    )
    return client, key.json()["credential_id"]
