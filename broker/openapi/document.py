"""The document, made once from the table of routes, the dialects and what is said of each."""

import json
import re
from collections.abc import Iterable
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from broker import __version__
from broker.oauth.metadata import PUBLIC
from broker.openapi import forwarded, oauth
from broker.openapi.operation import Operation
from broker.openapi.schemas import SCHEMAS
from broker.providers.dialect import Dialect
from broker.settings import Settings

PATH = "/openapi.json"

_SCHEMES: dict[str, dict[str, str]] = {
    "client_secret_basic": {"type": "http", "scheme": "basic", "description": "A client's id and secret."},
    "client_in_body": {
        "type": "http",
        "scheme": "client_id",
        "description": "As parameters of the body: client_id alone of a public client, with client_secret, or with a client_assertion.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token."},
    "dpop": {"type": "http", "scheme": "dpop", "description": "One that is bound to a key, with a proof (RFC 9449)."},
    "x_api_key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "An access token."},
    "x_goog_api_key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key", "description": "An access token."},
    "metrics": {
        "type": "http",
        "scheme": "bearer",
        "description": "BROKER_METRICS_TOKEN; not needed on the machine itself.",
    },
    "registration": {"type": "http", "scheme": "bearer", "description": "A registration access token."},
}


def document(settings: Settings, routes: Iterable[tuple[str, str]], dialects: dict[str, Dialect]) -> dict[str, object]:
    """OpenAPI 3.1 of these routes (method, path) and of the proxy; raises KeyError for a route of which nothing is said."""
    paths: dict[str, dict[str, object]] = {}
    told = {route: oauth.OPERATIONS[route] for route in routes} | forwarded.operations(dialects)
    for (method, path), operation in told.items():
        paths.setdefault(path, {})[method.lower()] = operation.to_wire(path, _name(method, path))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": settings.instance_name,
            "version": __version__,
            "summary": "Lends AI provider keys to apps, within limits that a person approved.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": settings.public_url}],
        "tags": [{"name": name} for name in _tags(told.values())],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": _SCHEMES},
    }


def _tags(operations: Iterable[Operation]) -> list[str]:
    return list(dict.fromkeys(operation.tag for operation in operations))


def _name(method: str, path: str) -> str:
    """Of the operation, for those who make a client of this."""
    return "_".join([method.lower(), *re.findall(r"[A-Za-z0-9]+", path)])


class Document:
    """As it is served: with a tag, by which whoever has it is told that it is the same."""

    def __init__(self, told: dict[str, object]) -> None:
        self._body = json.dumps(told, ensure_ascii=False).encode()
        self._tag = f'"{sha256(self._body).hexdigest()[:32]}"'

    async def endpoint(self, request: Request) -> Response:
        headers = {**PUBLIC, "etag": self._tag}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self._tag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(self._body, headers=headers, media_type="application/json")
