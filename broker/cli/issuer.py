"""A broker as a program of one of its users sees it: what it says of itself, and its answers, none of which is trusted blindly."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from broker import __version__
from broker.core.errors import BrokerError
from broker.core.strict_json import NotStrict, loads

SECONDS = 20.0
MOST_BYTES = 1 << 20
_WELL_KNOWN = "/.well-known/oauth-authorization-server"

Members = dict[str, Any]


class Unreachable(BrokerError):
    """No answer came, or one that says nothing: it may come later."""


class Refused(BrokerError):
    """An OAuth error answer."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class Strange(BrokerError):
    """It is not the broker that was meant, or not one that we know how to talk to."""


@dataclass(frozen=True, slots=True)
class Issuer:
    address: str
    http: httpx.Client

    @classmethod
    @contextmanager
    def at(cls, address: str) -> Iterator[Self]:
        """The environment's proxies are for the net: in plain http, which is loopback, they would read every token."""
        is_far = address.startswith("https://")
        headers = {"accept": "application/json", "user-agent": f"broker/{__version__}"}
        with httpx.Client(trust_env=is_far, timeout=SECONDS, headers=headers) as http:
            yield cls(address, http)

    def discover(self) -> Members:
        """Its metadata (RFC 8414), of this very issuer and with addresses of its own only."""
        status, metadata = self._ask("GET", self.address + _WELL_KNOWN)
        if status != 200:
            raise Strange(f"{self.address} is no broker: it has no {_WELL_KNOWN}.")
        if metadata.get("issuer") != self.address:
            raise Strange(f"{self.address} says that it is another issuer. Nothing was sent to it.")
        for name, value in metadata.items():
            if name.endswith("_endpoint") and not self.is_own(value):
                raise Strange(f"{self.address} sends you elsewhere for its {name}. Nothing was sent there.")
        return metadata

    def is_own(self, address: object) -> bool:
        return isinstance(address, str) and address.startswith(f"{self.address}/") and address.isprintable()

    def post(self, address: str, form: Mapping[str, str]) -> Members:
        """Raises Unreachable and Refused."""
        return _told(self, *self._ask("POST", address, data=dict(form)))

    def register(self, address: str, metadata: Members) -> Members:
        """RFC 7591; raises Unreachable and Refused."""
        return _told(self, *self._ask("POST", address, json=metadata))

    def status(self, token: str) -> int:
        """What the proxy says of a token; raises Unreachable."""
        return self._ask("GET", f"{self.address}/proxy/status", headers=_bearer(token))[0]

    def give_back(self, grant_id: str, token: str) -> bool:
        """Whether the grant has ended; raises Unreachable."""
        address = f"{self.address}/oauth/grants/{grant_id}"
        return self._ask("DELETE", address, headers=_bearer(token))[0] in (204, 401, 404)

    def _ask(self, method: str, address: str, **more: Any) -> tuple[int, Members]:
        try:
            with self.http.stream(method, address, **more) as answer:
                raw = b""
                for piece in answer.iter_bytes():
                    raw += piece
                    if len(raw) > MOST_BYTES:
                        raise Strange(f"{self.address} answers too much.")
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.address} cannot be reached ({error or type(error).__name__}).") from error
        try:
            body = loads(raw) if raw else {}
        except NotStrict:
            body = {}
        return answer.status_code, body if isinstance(body, dict) else {}


def _told(issuer: Issuer, status: int, body: Members) -> Members:
    if 200 <= status < 300:
        return body
    error, description = body.get("error"), body.get("error_description", "")
    if status == 429 or status >= 500 or not isinstance(error, str):
        raise Unreachable(f"{issuer.address} cannot answer now (status {status}). Try again later.")
    raise Refused(error, f"{issuer.address} refused: {_plain(description) or _plain(error)}")


def _plain(text: object) -> str:
    """What a server says goes to a terminal, which must not take it for commands."""
    return "".join(mark for mark in str(text) if mark.isprintable())[:300]


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
