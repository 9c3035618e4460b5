"""A real server with a token for each dialect, and a provider behind it that counts whatever reaches it."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.core.access import ALL_ACTIONS
from tests.fake_openai import answer_openai
from tests.fake_provider import FakeProvider, provider_in_a_thread
from tests.serve.installation import ASK, Granted, Installation

GOOD = json.dumps(ASK).encode()
GOOD_TARGET = "/proxy/openai/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    head: bytes
    body: bytes

    @property
    def code(self) -> str:
        told = json.loads(self.body)
        error = told.get("error", told)  # some dialects have nothing around it
        if not isinstance(error, dict):  # said before anything knew which dialect is spoken
            return str(error)
        details = error.get("details")
        return str(details[0]["reason"] if details else error["code"])


@dataclass
class Place:
    port: int
    provider: FakeProvider
    granted: dict[str, Granted]
    """By provider."""

    def raw(self, method: str, target: str, body: bytes, *lines: str, dialect: str = "openai") -> bytes:
        head = [
            f"{method} {target} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Authorization: Bearer {self.granted[dialect].token}",
            *(lines or ("Content-Type: application/json",)),
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        return "\r\n".join([*head, "", ""]).encode("utf-8") + body

    def say(self, raw: bytes) -> Said:
        """Byte for byte: a client of good manners would tidy up what is tried here."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(raw)
            answered = b""
            while piece := connection.recv(65_536):
                answered += piece
        head, _, body = answered.partition(b"\r\n\r\n")
        return Said(int(head[9:12]), head.lower(), body)

    def call(self, target: str, body: object, *, method: str = "POST", dialect: str = "openai") -> Said:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.say(self.raw(method, target, sent, dialect=dialect))

    @contextmanager
    def nothing_arrives(self) -> Iterator[None]:
        """A good call behind the others is all that the provider hears: what was sent before it would be there by then."""
        good = self._hears_one()
        connections, received, asked = self.provider.connections, self.provider.received, len(self.provider.asked)
        yield
        assert self._hears_one() == good
        assert self.provider.received == received + good
        assert len(self.provider.asked) == asked + 1
        assert self.provider.connections <= connections + 1

    def _hears_one(self) -> int:
        """The bytes of one good call."""
        before = self.provider.received
        assert self.say(self.raw("POST", GOOD_TARGET, GOOD)).status == 200
        return self.provider.received - before


WIDEST = {"budget": {"amount": "50.00", "currency": "USD"}, "actions": list(ALL_ACTIONS)}


@contextmanager
def attacked(folder: Path, models: dict[str, list[str]]) -> Iterator[Place]:
    """All actions are granted, with much money: what is refused here is refused for what it is."""
    with provider_in_a_thread(answer_openai) as provider:
        urls = {f"BROKER_PROVIDER_{name.upper()}_BASE_URL": provider.url for name in models}
        installation = Installation(folder, urls)
        installation.furnish()
        for name in models.keys() - {"openai"}:
            installation.add_key(name)
        granted = {name: installation.grant(provider=name, models=each, **WIDEST) for name, each in models.items()}
        with installation.serving() as server:
            yield Place(int(server.address.rpartition(":")[2]), provider, granted)
