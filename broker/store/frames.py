"""Messages between two processes of one broker: what is sent at about the same time goes as one frame."""

import asyncio
import marshal
from typing import Any, cast

_LENGTH = 4


class Frames(asyncio.Protocol):
    """Plain tuples over a stream socket. Both ends run the same interpreter, as one is the other's parent."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._arrived = bytearray()
        self._leaving: list[tuple[Any, ...]] = []
        self.is_open = False

    def told(self, message: tuple[Any, ...]) -> None:
        raise NotImplementedError

    def gone(self) -> None:
        raise NotImplementedError

    def tell(self, message: tuple[Any, ...]) -> None:
        if not self._leaving:
            asyncio.get_running_loop().call_soon(self._flush)
        self._leaving.append(message)

    def close(self) -> None:
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        arrived = self._arrived
        arrived += data
        while len(arrived) >= _LENGTH:
            end = _LENGTH + int.from_bytes(arrived[:_LENGTH], "little")
            if len(arrived) < end:
                return
            messages = marshal.loads(bytes(arrived[_LENGTH:end]))  # noqa: S302 - of our own parent or child
            del arrived[:end]
            for message in messages:
                self.told(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.gone()

    def _flush(self) -> None:
        if self._leaving and self._transport is not None and self.is_open:
            packed = marshal.dumps(self._leaving)
            self._transport.write(len(packed).to_bytes(_LENGTH, "little") + packed)
        self._leaving = []
