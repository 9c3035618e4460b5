"""Azure OpenAI's dialect: OpenAI's, whose model may be a deployment that stands in the path (learn.microsoft.com/azure)."""

import re
from functools import lru_cache
from urllib.parse import parse_qs

from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.providers.dialect import Body, Endpoint, Meter, Reading
from broker.providers.openai import ChatCompletions, Completions, Embeddings, OpenAI
from broker.providers.registry import Provider

_DEPLOYED = re.compile(r"/deployments/([A-Za-z0-9][A-Za-z0-9._-]{0,63})/([a-z]+(?:/[a-z]+)?)")
_VERSION = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](?:-preview)?|v1|preview|latest", re.ASCII)
_ENDPOINTS: dict[str, Endpoint] = {
    "chat/completions": ChatCompletions(),
    "completions": Completions(),
    "embeddings": Embeddings(),
}


class Deployed:
    """POST /deployments/{deployment}/…: the path says what runs, whatever model the body names."""

    def __init__(self, deployment: str, endpoint: Endpoint) -> None:
        self._deployment = deployment
        self._endpoint = endpoint

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return self._endpoint.read(body | {"model": self._deployment}, size, provider, path)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return self._endpoint.usage(answer)

    def meter(self, *, wants_usage: bool) -> Meter:
        return self._endpoint.meter(wants_usage=wants_usage)


@lru_cache(maxsize=256)
def _deployed(path: str) -> Endpoint | None:
    match = _DEPLOYED.fullmatch(path)
    endpoint = _ENDPOINTS.get(match[2]) if match else None
    return None if match is None or endpoint is None else Deployed(match[1], endpoint)


class Azure(OpenAI):
    """Its base address ends with /openai: /v1/… beyond it is the newer API, /deployments/… the older."""

    name = "azure"

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        return super().endpoint(method, path) or (_deployed(path) if method == "POST" else None)

    def methods(self, path: str) -> tuple[str, ...]:
        return super().methods(path) or (("POST",) if _deployed(path) else ())

    def paths(self) -> tuple[str, ...]:
        return (*super().paths(), *(f"/deployments/{{deployment}}/{call}" for call in _ENDPOINTS))

    def query(self, query: bytes) -> str:
        """Which version of the API is meant, if it is one."""
        asked = parse_qs(query.decode("latin-1")).get("api-version", []) if query else []
        return f"?api-version={asked[0]}" if len(asked) == 1 and _VERSION.fullmatch(asked[0]) else ""
