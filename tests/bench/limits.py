"""Whether any limit lets a call through that it must not: 350 calls at once against each of four, over two workers, on both stores."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.cli.desk import at_desk
from tests.bench import brokers, postgres
from tests.bench.compare import FULL, POSTGRES
from tests.bench.loading import Scene, Target, load
from tests.bench.programs import provider
from tests.serve.installation import Granted, Installation, dollars

AT_ONCE = 350
ADMITTED = 7
_HELD_MS = 8_000
"""The provider answers when all calls have been judged."""
BURST = Scene("burst", AT_ONCE, delay_ms=_HELD_MS)
_WIDE = {"amount": "1000.00", "currency": "USD"}


def run(say: Callable[[str], object]) -> dict[str, Any]:
    """By store; on PostgreSQL where a server of our own can be started."""
    stores = {FULL: _burst(brokers.home() / "limits", {}, say)}
    if postgres.is_ours():
        with postgres.database(brokers.home() / "limits-postgres") as (url, _):
            stores[POSTGRES] = _burst(brokers.home() / "limits-on-postgres", {"BROKER_DATABASE_URL": url}, say)
    return {"stores": stores}


def _burst(folder: Path, settings: dict[str, str], say: Callable[[str], object]) -> dict[str, Any]:
    brokers.furnish(folder, 1, settings)
    place = Installation(folder, {"BROKER_ISSUER": brokers.ISSUER, **settings})
    place.client_id = place.json("client", "list")[0]["client_id"]
    through: dict[str, int] = {}
    with provider() as port, brokers.serve(folder, port, **settings, BROKER_WORKERS="2") as target:
        for name, granted in _grants(place, target).items():
            measured = load(_as(target, folder, granted), BURST, 1, count=AT_ONCE)
            through[name] = measured.statuses.get("200", 0)
            say(f"  {name:<20} {measured.statuses}, {measured.failed - AT_ONCE + through[name]} not answered properly")
    return {
        "calls": AT_ONCE * len(through),
        "let_through": through,
        "beyond": sum(max(0, number - ADMITTED) for number in through.values()),
        "over_in_the_books": over(place),
        "verdict": place.broker("ledger", "verify").strip(),
    }


def _grants(place: Installation, target: Target) -> dict[str, Granted]:
    hold = _hold_of_one(place, target)
    return {
        "budget": place.grant(budget=dollars(ADMITTED * hold)),
        "max_requests": place.grant(budget=_WIDE, max_requests=ADMITTED),
        "requests_per_minute": place.grant(budget=_WIDE, rate_limit={"requests_per_minute": ADMITTED}),
        "concurrent": place.grant(budget=_WIDE, rate_limit={"concurrent": ADMITTED}),
    }


def _hold_of_one(place: Installation, target: Target) -> int:
    """What the broker says that a call of the burst needs."""
    token = place.grant(budget=dollars(1)).token
    head = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"http://127.0.0.1:{target.port}{target.path}"
    answered = httpx.post(url, content=BURST.body(), headers=head, timeout=30, trust_env=False)
    return int(answered.json()["error"]["required"])


def _as(target: Target, folder: Path, granted: Granted) -> Target:
    tokens = folder / "token"
    tokens.write_text(granted.token + "\n")
    return replace(target, tokens=tokens)


def over(place: Installation) -> int:
    """Counters of which more is settled and held than they may."""

    async def count(tx: AsyncSession) -> int:
        found = await tx.execute(text('SELECT count(*) FROM counter WHERE settled + held > "limit"'))
        return int(found.scalar_one())

    with place.at():
        return at_desk(lambda desk: desk.db.read(count))
