"""Where a request goes: an address read once and strictly, so that no two readers could understand it in two ways."""

import re
from functools import lru_cache
from typing import NamedTuple

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?(?P<target>[/?][!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host (an IPv6 address without its brackets) and port: what connections are shared by."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> bytes:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}").encode("ascii")


@lru_cache(maxsize=1024)
def locate(url: str) -> tuple[Origin, bytes]:
    """The origin and the request target, which goes out byte for byte; raises ValueError."""
    match = _ADDRESS.fullmatch(url)
    if match is None or "#" in url:
        raise ValueError("not an address to send a request to")
    scheme, host = match["scheme"].lower(), match["host"].lower().strip("[]")
    port = int(match["port"] or _PORTS[scheme])
    if not 0 < port < 65_536:
        raise ValueError("no such port")
    target = match["target"] or "/"
    return Origin(scheme, host, port), (target if target.startswith("/") else f"/{target}").encode("ascii")
