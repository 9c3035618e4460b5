"""Which answers a page on another origin may read, and which requests it may send (CORS); never with cookies."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Scope, Send

Audience = Literal["anyone", "clients"]
"""Anyone's pages, or those of the client that calls."""

ClientsAt = Callable[[str], Awaitable[frozenset[str]]]
"""The ids of the clients whose page an origin is."""
ClientOf = Callable[[Scope], str | None]
"""Whose credential a request carries, as far as a look at it tells."""

MAX_AGE_SECONDS = 600
MOST_NAMES = 60

_READABLE = (
    "DPoP-Nonce, WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, AAuth-Budget, "
    "X-Request-Id, Request-Id, X-Should-Retry"
)
_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_NAMES = frozenset(
    ["accept", "authorization", "content-type", "dpop", "idempotency-key", "mcp-protocol-version", "user-agent"]
)
_FAMILIES = ("x-api-key", "x-goog-", "x-stainless-", "anthropic-", "openai-")
"""What providers' own client libraries send beside; what may cross to a provider, the proxy decides."""


@dataclass(frozen=True, slots=True)
class Rule:
    audience: Audience
    methods: str


_DISCOVERY = Rule("anyone", "GET")
_POST = Rule("clients", "POST")
_RULES = {
    "/.well-known/oauth-authorization-server": _DISCOVERY,
    "/.well-known/oauth-protected-resource/proxy": _DISCOVERY,
    "/.well-known/jwks.json": _DISCOVERY,
    "/openapi.json": _DISCOVERY,
    "/oauth/token": _POST,
    "/oauth/par": _POST,
    "/oauth/revoke": _POST,
    "/oauth/device_authorization": _POST,
    "/oauth/register": Rule("anyone", "POST"),
}
_BELOW = {
    "/schemas/": _DISCOVERY,
    "/oauth/register/": Rule("anyone", "GET, PUT, DELETE"),
    "/oauth/grants/": Rule("clients", "GET, DELETE"),
    "/proxy/": Rule("clients", "GET, POST"),
}


def rule_of(path: str) -> Rule | None:
    """None for the pages and all that belongs to a browser's own session."""
    return _RULES.get(path) or next((rule for start, rule in _BELOW.items() if path.startswith(start)), None)


class Cors:
    """Asked only where a request names an origin."""

    def __init__(self, clients_at: ClientsAt, client_of: ClientOf) -> None:
        self._clients_at = clients_at
        self._client_of = client_of

    async def preflight(self, scope: Scope, origin: str) -> Response | None:
        """The answer to a browser that asks first; None where nobody may, and for any other request."""
        rule = rule_of(scope["path"])
        if scope["method"] != "OPTIONS" or rule is None:
            return None
        asked = {
            name: value.decode("latin-1") for name, value in scope["headers"] if name.startswith(b"access-control")
        }
        if b"access-control-request-method" not in asked:
            return None
        if rule.audience == "clients" and not await self._clients_at(origin):
            return None
        headers = {
            "access-control-allow-origin": "*" if rule.audience == "anyone" else origin,
            "access-control-allow-methods": rule.methods,
            "access-control-max-age": str(MAX_AGE_SECONDS),
            "vary": "Origin, Access-Control-Request-Headers",
        }
        names = _allowed(asked.get(b"access-control-request-headers", ""))
        return Response(status_code=204, headers=headers | ({"access-control-allow-headers": names} if names else {}))

    async def readable(self, scope: Scope, origin: str, send: Send) -> Send:
        """Sends with the headers that let the page read it: a page of the client that calls, or any client's while
        nobody knows which one it is, so that a page can read why it was refused.
        """
        rule = rule_of(scope["path"])
        if rule is None:
            return send
        at = await self._clients_at(origin) if rule.audience == "clients" else frozenset()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A copy: whoever answers may keep one list of headers for all its answers.
                message = {**message, "headers": [*message["headers"]]}
                headers = MutableHeaders(scope=message)
                if rule.audience == "anyone":
                    _let(headers, "*")
                else:
                    headers.add_vary_header("Origin")
                    client = scope["state"].get("client_id") or self._client_of(scope)
                    if client in at or (client is None and at):
                        _let(headers, origin)
            await send(message)

        return answer


def _let(headers: MutableHeaders, origin: str) -> None:
    headers["access-control-allow-origin"] = origin
    headers["access-control-expose-headers"] = _READABLE


def _allowed(asked: str) -> str:
    """Of the header names that a page wants to send, those that one of our clients has a use for."""
    names = [name.strip().lower() for name in asked.split(",")[:MOST_NAMES]]
    return ", ".join(name for name in names if name in _NAMES or _is_of_a_family(name))


def _is_of_a_family(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name.startswith(_FAMILIES)
