"""Whether a provider takes a key: asks for its list of models, which costs nothing."""

import asyncio
from typing import Literal

from broker.core.secret import Secret
from broker.providers.client import Broken, Headers, NotReached, ProviderClient
from broker.providers.registry import Provider

Verdict = Literal["working", "refused", "unreachable"]

_PATHS = {"google": "/v1beta/models"}
_USUAL_PATH = "/v1/models"
_MORE: dict[str, Headers] = {"anthropic": [(b"anthropic-version", b"2023-06-01")]}
_KEY_HEADERS = {"anthropic": b"x-api-key", "google": b"x-goog-api-key", "azure": b"api-key"}
_WAIT = 15.0


class KeyCheck:
    def __init__(self, client: ProviderClient) -> None:
        self._client = client

    async def __call__(self, provider: Provider, key: Secret) -> Verdict:
        """Refused is only what the provider itself says with 401 or 403; any other answer proves nothing."""
        try:
            async with asyncio.timeout(_WAIT):
                url = provider.base_url + _PATHS.get(provider.dialect, _USUAL_PATH)
                headers = [*_MORE.get(provider.dialect, []), *credential_headers(provider.dialect, key)]
                answer = await self._client.send("GET", url, headers, brought=provider.is_brought)
                await answer.close()
        except (NotReached, Broken, TimeoutError, ValueError):  # the last: it cannot stand in a header
            return "unreachable"
        if answer.status in (401, 403):
            return "refused"
        return "working" if answer.status == 200 else "unreachable"


def credential_headers(dialect: str, key: Secret) -> Headers:
    """The real key in the form its provider wants: the only place where a header is made of it."""
    text = key.reveal().encode("ascii")
    name = _KEY_HEADERS.get(dialect)
    if name is not None:
        return [(name, text)]
    return [(b"authorization", b"Bearer " + text)]
