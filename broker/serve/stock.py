"""hypercorn's own reader, held to HTTP/1.1: also that of a release whose insides nobody here has read."""

from importlib.metadata import version
from inspect import iscoroutinefunction, signature

from hypercorn.config import Config
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.core.errors import CannotStart
from broker.ops.log import logger
from broker.serve.http1_head import VERSION

try:
    from hypercorn.protocol import h11
except ImportError:  # a release that has it elsewhere
    h11 = None  # type: ignore[assignment]

_READ_BY_HAND = ("0.18.",)
"""The releases of hypercorn whose insides are known: where it hands over a connection, and looks for HTTP/2 in clear text."""
_PROTOCOL, _CHECK = "H11Protocol", "_check_protocol"
_NEVER_LOST = frozenset(["bind", "certfile", "keyfile"])


def is_known() -> bool:
    return version("hypercorn").startswith(_READ_BY_HAND)


def check_config(config: Config) -> None:
    """Of a release that lost a setting: it would be taken without a word. Raises CannotStart where it would serve in clear text."""
    fresh = Config()
    lost = sorted(name for name in vars(config) if not hasattr(fresh, name))
    if _NEVER_LOST.intersection(lost):
        raise CannotStart("This release of hypercorn does not take an address or a certificate as Broker gives them.")
    if lost:
        logger("http").warning("this hypercorn does not know all that it is told", lost=lost)


def switch_off_http2() -> bool:
    """hypercorn has no switch against HTTP/2 in clear text, which one bad path could use to end a whole connection.

    Gives whether there was a place to put one: the method that looks for it, shaped as where it is known.
    """
    protocol = getattr(h11, _PROTOCOL, None)
    check = getattr(protocol, _CHECK, None)
    if not (iscoroutinefunction(check) and list(signature(check).parameters) == ["self", "event"]):
        return False

    async def stay(self: object, event: object) -> None:
        return None

    setattr(protocol, _CHECK, stay)
    return True


class Http1Only:
    """Around the app of a release that nobody has read: whatever else it speaks, the app is asked in HTTP/1 only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope.get("http_version") in ("1.0", "1.1"):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            said = {"error": VERSION.error, "error_description": VERSION.description}
            await JSONResponse(said, VERSION.status, {"cache-control": "no-store"})(scope, receive, send)
