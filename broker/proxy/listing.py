"""What a token can use and what is left of it: answered by the broker itself, needing no action."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import Clock
from broker.core.strict_json import dumps
from broker.ledger.judge import action_not_granted, check_state, invalid_token, not_granted
from broker.ledger.standing import Allowance, Standing, read_standings
from broker.ledger.view import grant_object
from broker.prices.book import PriceBook
from broker.providers.client import Headers
from broker.providers.dialect import Dialect
from broker.providers.registry import Provider
from broker.proxy.authenticate import Principal
from broker.proxy.channel import Head
from broker.store import grants
from broker.store.database import Database

_JSON: Headers = [(b"content-type", b"application/json")]


def model_at(dialect: Dialect, path: str) -> str:
    """The model whose own place in the list this path is; empty where it is none."""
    before, _, model = path.partition("/models/")
    return model if dialect.is_listing(f"{before}/models") else ""


class Listing:
    def __init__(self, db: Database, clock: Clock, prices: PriceBook) -> None:
        self._db = db
        self._clock = clock
        self._prices = prices

    async def models(self, principal: Principal, provider: Provider, dialect: Dialect) -> Head:
        """The granted models that have a price."""
        here = await self._here(principal, provider)
        priced = self._prices.models(provider.name)
        named = {pattern for allowance in here for pattern in allowance.models if not pattern.endswith("*")}
        now = self._clock()
        exact = {model for model in named if self._prices.find(provider.name, model, now, "any")}
        granted = exact | {model for model in priced if any(allowance.covers_model(model) for allowance in here)}
        return Head(200, _JSON, dialect.listing(sorted(granted), provider))

    async def model(self, principal: Principal, provider: Provider, dialect: Dialect, model: str) -> Head | None:
        """One of them; None for any other."""
        here = await self._here(principal, provider)
        is_granted = any(allowance.covers_model(model) for allowance in here)
        if not is_granted or not self._prices.find(provider.name, model, self._clock(), "any"):
            return None
        return Head(200, _JSON, dumps(dialect.model(model, provider)))

    async def require_granted(self, principal: Principal, provider: Provider) -> None:
        """A token for another provider learns that first, whatever it asked for."""
        await self._here(principal, provider)

    async def require_actions(self, principal: Principal, provider: Provider, needed: frozenset[str]) -> None:
        """Of what needs no model."""
        here = await self._here(principal, provider)
        if not any(needed <= allowance.actions for allowance in here):
            missing = sorted(needed.difference(*(allowance.actions for allowance in here)))
            raise action_not_granted(missing or sorted(needed))

    async def status(self, principal: Principal) -> Head:
        standing = await self._standing(principal)
        if standing is None:
            raise invalid_token()

        async def work(tx: AsyncSession) -> dict[str, object] | None:
            grant = await grants.load(tx, standing.grant_id)
            return None if grant is None else await grant_object(tx, grant, self._clock())

        found = await self._db.read(work)
        if found is None:
            raise invalid_token()
        return Head(200, _JSON, dumps(found))

    async def _here(self, principal: Principal, provider: Provider) -> list[Allowance]:
        """What the token may use at this provider; raises CallRefused where it is nothing."""
        standing = check_state(await self._standing(principal))
        here = [allowance for allowance in standing.allowances if allowance.provider == provider.name]
        if not here:
            raise not_granted()
        return here

    async def _standing(self, principal: Principal) -> Standing | None:
        found = (await self._db.read_steps(read_standings([principal.jti]))).get(principal.jti)
        return None if found is None else found.at(self._clock())
