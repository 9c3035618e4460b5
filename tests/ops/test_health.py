"""Health: alive is being able to answer; ready is being able to do the work."""

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from broker.core.errors import Unavailable
from broker.ops.health import Health


async def _works() -> None:
    return


async def _is_locked() -> None:
    raise Unavailable(detail="database is locked")


async def _ask(health: Health, path: str) -> httpx.Response:
    app = Starlette(routes=[Route("/live", health.live), Route("/ready", health.ready)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://broker.test") as client:
        return await client.get(path)


async def test_ready_when_every_part_works() -> None:
    answer = await _ask(Health({"database": _works, "vault": _works}), "/ready")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"database": "ok", "vault": "ok"}}


async def test_not_ready_says_which_part_and_nothing_more() -> None:
    answer = await _ask(Health({"database": _is_locked, "vault": _works}), "/ready")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "checks": {"database": "unavailable", "vault": "ok"}}
    assert "locked" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_alive_whatever_the_parts_say() -> None:
    answer = await _ask(Health({"database": _is_locked}), "/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
