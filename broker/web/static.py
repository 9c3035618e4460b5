"""The style sheet, the script and the icon: read once, addressed by what is in them."""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from broker.assets import STATIC
from broker.core.errors import PageError

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class StaticFiles:
    def __init__(self, folder: Path = STATIC) -> None:
        self._files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in _TYPES}
        self._versions = {name: hashlib.sha256(raw).hexdigest()[:8] for name, raw in self._files.items()}

    def address(self, name: str) -> str:
        return f"/static/{name}?v={self._versions[name]}"

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        raw = self._files.get(name)
        if raw is None:
            raise PageError(404, "Page not found", "There is no such file.")
        current = request.query_params.get("v") == self._versions[name]
        return Response(
            raw,
            media_type=_TYPES[Path(name).suffix],
            headers={
                "cache-control": "public, max-age=31536000, immutable" if current else "no-cache",
                "x-content-type-options": "nosniff",
                "content-security-policy": "default-src 'none'",
            },
        )
