"""The one door to a provider: httpx's transport, used directly, with every wait bounded and nothing added."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: to connect, to the first byte of the answer, and between two pieces of it."""

    connect: float
    first_byte: float
    silence: float


class NotReached(Exception):
    """No byte of the request was written: the provider did not run it."""


class Broken(Exception):
    """The request, or a part of it, was sent, and no complete answer came."""


class TimedOut(Broken):
    """As Broken, by silence."""


@dataclass(slots=True)
class Progress:
    """Whether a byte of the request may have been written; readable even when the sending is cancelled."""

    wrote: bool = False


class Answer:
    """A provider's answer whose head has arrived; closing it closes the connection unless it was read to its end."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.raw]
        self._response = response

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come; raises Broken or TimedOut."""
        try:
            stream = self._response.stream
            if not isinstance(stream, httpx.AsyncByteStream):
                raise Broken("the transport gave no stream")
            async for chunk in stream:
                yield chunk
        except httpx.TimeoutException as error:
            raise TimedOut(type(error).__name__) from error
        except httpx.TransportError as error:
            raise Broken(type(error).__name__) from error

    async def close(self) -> None:
        await self._response.aclose()

    def header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key == name), b"")


class ProviderClient:
    """Sends one request and gives its answer. Redirects are never followed, the environment's proxies never used."""

    def __init__(self, waits: Waits, *, connections: int = 2048, idle: int = 256) -> None:
        self._waits = waits
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=idle, keepalive_expiry=30)
        self._transport = httpx.AsyncHTTPTransport(
            verify=ssl.create_default_context(), trust_env=False, http2=False, limits=limits, retries=0
        )

    async def send(
        self, method: str, url: str, headers: Headers, body: bytes = b"", progress: Progress | None = None
    ) -> Answer:
        """Waits for the head of the answer; raises NotReached, TimedOut or Broken."""
        progress = progress or Progress()

        async def trace(name: str, _info: dict[str, Any]) -> None:
            if name.endswith("send_request_headers.started"):
                progress.wrote = True

        waits = self._waits
        timeout = {"connect": waits.connect, "pool": waits.connect, "write": waits.silence, "read": waits.first_byte}
        request = httpx.Request(
            method,
            url,
            headers=[*headers, (b"accept-encoding", b"identity")],
            content=body,
            extensions={"timeout": timeout, "trace": trace},
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            if not progress.wrote:
                raise NotReached(type(error).__name__) from error
            if isinstance(error, httpx.TimeoutException):
                raise TimedOut(type(error).__name__) from error
            raise Broken(type(error).__name__) from error
        # The pieces of a body may not be as far apart as its head from the request; httpcore reads this at each read.
        timeout["read"] = waits.silence
        return Answer(response)

    async def close(self) -> None:
        await self._transport.aclose()
