"""What is true of each request before any endpoint sees it: a number, a host that is ours, a head in bounds."""

from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.core.handle import Entropy, new_id, system_entropy
from broker.settings import Settings, is_loopback
from broker.web.cors import Cors
from broker.web.slow_body import in_time

METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
MOST_HEADERS = 100
PROBES = frozenset(["/health/live", "/health/ready"])
"""Asked by address, by whoever balances or watches; they say nothing that a host name could turn to harm."""
TOKEN_ALIAS = "/proxy/anthropic/v1/oauth/token"
"""The token endpoint once more, where Anthropic's own library looks for it."""
_HSTS = "max-age=31536000"


class Edge:
    """Pure ASGI around the whole app; the streams of the proxy pass through it untouched."""

    def __init__(
        self, app: ASGIApp, proxy: ASGIApp, settings: Settings, cors: Cors, entropy: Entropy = system_entropy
    ) -> None:
        self._app = app
        self._cors = cors
        self._proxy = proxy
        self._entropy = entropy
        self._secure = settings.secure
        self._most_bytes = settings.max_header_bytes
        issuer = (urlsplit(settings.public_url).hostname or "").lower()
        self._hosts = {issuer, *(_name_of(host) for host in settings.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Nothing here is spoken over one, and the app behind knows requests only.
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req", self._entropy)
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        refusal: Response | None = self._refusal(scope)
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        if origins and refusal is None:
            refusal, send = await self._for_a_page(scope, origins, send)
        if refusal is None and _is_for_proxy(scope["path"]):
            # The way of the calls: what is between here and the provider is paid for by each of them.
            await self._proxy(scope, receive, send)
            return
        answer = self._answering(send, request_id)
        if refusal is not None:
            await refusal(scope, receive, answer)
        else:
            await self._app(scope, in_time(receive), answer)

    async def _for_a_page(self, scope: Scope, origins: list[bytes], send: Send) -> tuple[Response | None, Send]:
        """The answer to a preflight, or none, and then how the rest is sent to a page on that origin."""
        if len(origins) > 1:
            return None, send
        origin = origins[0].decode("latin-1")
        asked_first = await self._cors.preflight(scope, origin)
        return asked_first, send if asked_first is not None else await self._cors.readable(scope, origin, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = scope["headers"]
        fields = dict(headers)
        size = sum([len(name) + len(value) + 4 for name, value in headers])
        if len(headers) > MOST_HEADERS or size > self._most_bytes:
            return _refuse(431, "headers_too_large", "The headers of the request are too large.")
        if scope["method"] not in METHODS:
            return _refuse(501, "method_not_implemented", "This server does not know that method.")
        if b"content-length" in fields and b"transfer-encoding" in fields:
            # RFC 9112 §6.1: "Regardless, the server MUST close the connection after responding to such a request": what
            # follows on it may be what a proxy before us took for the body.
            return _refuse(400, "invalid_request", "The request has two lengths.", connection="close")
        if scope["path"] in PROBES:
            return None
        if "\x00" in scope["path"] and not _is_for_proxy(scope["path"]):
            # No name here has one, and PostgreSQL would take it for an outage of its own; the proxy looks for none.
            return _refuse(400, "invalid_request", "The address has a character that none here has.")
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(_host_name(hosts[0])):
            return _refuse(421, "unknown_host", "This server does not answer to that host name.")
        return None

    def _is_ours(self, host: str) -> bool:
        return bool(host) and (host in self._hosts or is_loopback(host))

    def _answering(self, send: Send, request_id: str) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = headers["request-id"] = request_id
                headers.setdefault("x-content-type-options", "nosniff")
                if self._secure:
                    headers["strict-transport-security"] = _HSTS
            await send(message)

        return answer


def _is_for_proxy(path: str) -> bool:
    return (path.startswith("/proxy/") or path == "/proxy") and path != TOKEN_ALIAS


@lru_cache(maxsize=64)
def _host_name(host: bytes) -> str:
    """Without its port, in lower case; empty for what is no host."""
    return _name_of(host.decode("latin-1"))


def _name_of(host: str) -> str:
    if any(character in host for character in "/@?#\\ "):
        return ""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _refuse(status: int, error: str, description: str, **headers: str) -> JSONResponse:
    body = {"error": error, "error_description": description}
    return JSONResponse(body, status, {"cache-control": "no-store", **headers})
