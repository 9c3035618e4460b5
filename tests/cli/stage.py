"""A user with a key, and a client, for tests of grants."""

import json
from dataclasses import dataclass
from typing import Any

from tests.cli.conftest import Broker, Told

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


def furnished(broker: Broker) -> Stage:
    broker("user", "add", "mia@example.com", "--password-stdin", said="a few plain words")
    client = broker("client", "add", "Notes", "--public", "--json").json()["client_id"]
    key = broker(
        "key", "add", "--provider", "openai", "--user", "mia@example.com", "--no-check", "--json", said="sk-of-mia-0123"
    )
    return Stage(broker, client, key.json()["credential_id"])
