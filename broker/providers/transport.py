"""The same connections for an ordinary httpx.AsyncClient, where convenience is worth more than its cost.

httpx is six megabytes and 60 ms of processor time: import this where it is used, so that a server without such uses has none of it.
"""

from collections.abc import AsyncIterator

import httpx

from broker.providers.client import Answer, Broken, NotReached, ProviderClient, TimedOut, TooLarge, Waits
from broker.providers.request import OURS

FAILURES = (httpx.HTTPError, httpx.InvalidURL, TooLarge, ValueError)
"""What may be raised between a request and the end of its answer; the last by an address to go on at, which httpx reads also
where it does not go on."""


def ordinary(client: ProviderClient) -> httpx.AsyncClient:
    """For one conversation, as its cookies may not be seen by the next; proxies and logins of the environment are not used."""
    named = {"user-agent": "Broker"}
    return httpx.AsyncClient(transport=Transport(client), headers=named, trust_env=False, timeout=None)  # noqa: S113 - the client's own


async def whole(answer: httpx.Response, most: int) -> bytes:
    """The body as it came, of a streamed answer; raises TooLarge, or as httpx does."""
    pieces, size = [], 0
    async for piece in answer.aiter_raw():
        size += len(piece)
        if size > most:
            raise TooLarge("the answer is too large")
        pieces.append(piece)
    return b"".join(pieces)


class Transport(httpx.AsyncBaseTransport):
    """Keeps the client's bounds where a request names none; the client stays open when it is closed."""

    def __init__(self, client: ProviderClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        headers = [(name, value) for name, value in request.headers.raw if name.lower() not in OURS]
        waits = _waits(request.extensions.get("timeout", {}), self._client.waits)
        try:
            answer = await self._client.send(request.method, str(request.url), headers, body, waits=waits)
        except NotReached as error:
            timed_out = isinstance(error.__cause__, TimeoutError)
            raise (httpx.ConnectTimeout if timed_out else httpx.ConnectError)(str(error), request=request) from error
        except Broken as error:
            raise _as_httpx(error, request) from error
        except ValueError as error:
            raise httpx.LocalProtocolError(str(error), request=request) from error
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Stream(answer, request),
            extensions={"http_version": b"HTTP/1.1"},
        )


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: Answer, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.chunks():
                yield piece
        except Broken as error:
            raise _as_httpx(error, self._request) from error

    async def aclose(self) -> None:
        await self._answer.close()


def _as_httpx(error: Broken, request: httpx.Request) -> httpx.TransportError:
    if isinstance(error, TimedOut):
        return httpx.ReadTimeout(str(error), request=request)
    return httpx.RemoteProtocolError(str(error), request=request)


def _waits(asked: dict[str, float | None], own: Waits) -> Waits:
    connect, read = asked.get("connect"), asked.get("read")
    return Waits(
        connect=own.connect if connect is None else connect,
        first_byte=own.first_byte if read is None else read,
        silence=own.silence if read is None else read,
    )
