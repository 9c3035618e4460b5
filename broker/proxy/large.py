"""Bodies that take long to read: they are read so that all others have their turn meanwhile."""

import asyncio

from broker.providers.dialect import Body, Endpoint, FormEndpoint, Reading, SteppedEndpoint, SteppedForm, Steps
from broker.providers.form import Form
from broker.providers.registry import Provider
from broker.proxy.form import parse_form
from broker.proxy.read import parse_body

MANY = 65_536
"""Bytes from which on requests of many parts are read in steps."""
VAST = 1_048_576
"""Bytes that are read in a thread, which gives the others their turn every few milliseconds."""


class LargeBodies:
    """What takes many steps is read one at a time in a process: between two steps all others have their turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def read(
        self, endpoint: Endpoint, in_parts: bytes | None, raw: bytes, provider: Provider, path: str, *, again: bool
    ) -> tuple[Body, Reading, bytes]:
        """A body, of JSON or, by its content type, `in_parts`; the request that it is; and what to know it by. Raises CallRefused."""
        if in_parts is not None and isinstance(endpoint, FormEndpoint):
            return {}, *await self.read_form(endpoint, in_parts, raw, provider, path, again=again)
        return *await self.read_json(endpoint, raw, provider, path), raw

    async def read_json(self, endpoint: Endpoint, raw: bytes, provider: Provider, path: str) -> tuple[Body, Reading]:
        body = parse_body(raw) if len(raw) < VAST else await asyncio.to_thread(parse_body, raw)
        if not isinstance(endpoint, SteppedEndpoint):
            return body, endpoint.read(body, len(raw), provider, path)
        return body, await self._in_steps(endpoint.steps(body, len(raw), provider, path))

    async def read_form(
        self, endpoint: FormEndpoint, content_type: bytes, raw: bytes, provider: Provider, path: str, *, again: bool
    ) -> tuple[Reading, bytes]:
        """If it may come `again`, it is known by its parts, whatever boundary it then has."""
        if len(raw) < VAST:
            form, digest = _parsed(endpoint, content_type, raw, again)
        else:
            form, digest = await asyncio.to_thread(_parsed, endpoint, content_type, raw, again)
        if not isinstance(endpoint, SteppedForm):
            return endpoint.read_form(form, len(raw), provider, path), digest
        return await self._in_steps(endpoint.form_steps(form, len(raw), provider, path)), digest

    async def _in_steps(self, steps: Steps) -> Reading:
        async with self._turn:
            while True:
                try:
                    next(steps)
                except StopIteration as done:
                    read: Reading = done.value
                    return read
                await asyncio.sleep(0)


def _parsed(endpoint: FormEndpoint, content_type: bytes, raw: bytes, again: bool) -> tuple[Form, bytes]:
    form = parse_form(raw, content_type, endpoint.form)
    return form, form.digest() if again else b""
