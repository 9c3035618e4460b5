"""Whether this process is alive, and whether it can do its work."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.core.errors import BrokerError
from broker.ops.log import logger

Check = Callable[[], Awaitable[None]]
"""Returns when a part works; raises BrokerError when it does not."""

_FRESH = {"cache-control": "no-store"}


class Health:
    """`checks` are asked anew for each question, by the name that the answer gives them."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    async def live(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_FRESH)

    async def ready(self, request: Request) -> Response:
        checks = {name: await _ask(name, check) for name, check in self._checks.items()}
        well = all(answer == "ok" for answer in checks.values())
        body = {"status": "ok" if well else "unavailable", "checks": checks}
        return JSONResponse(body, status_code=200 if well else 503, headers=_FRESH)


async def _ask(name: str, check: Check) -> str:
    try:
        await check()
    except BrokerError as error:
        logger("health").warning("not ready", check=name, exc_info=error)
        return "unavailable"
    return "ok"
