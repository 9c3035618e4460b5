"""What the next call of a token to the same model will be judged and written by, found once and kept."""

from collections.abc import Iterable
from typing import NamedTuple

from broker.core import period
from broker.core.access import RateLimit
from broker.ledger.ask import Ask
from broker.ledger.judge import Demand
from broker.ledger.keys import CounterKey, dump_keys
from broker.ledger.rates import limited
from broker.ledger.standing import Allowance, Standing
from broker.ledger.windows import Scope, scopes_of

Use = tuple[str, str, str, str]
"""Token, provider, model and action."""


class Ready(NamedTuple):
    """One access as one token uses it for one model; as good as the standing that it was made from."""

    allowance: Allowance
    since: int
    until: int
    """Between these instants no period begins and nothing ends."""
    charged: tuple[CounterKey, ...]
    scopes: tuple[tuple[Scope, RateLimit], ...]
    """The rates that are limited."""
    counted: tuple[Scope, ...]
    """All scopes that such calls count in; none where nothing is limited."""
    grant_id: str
    same: tuple[str, ...]
    """What all rows of such calls begin with, after their ids."""
    stored_keys: str

    def serves(self, demand: Demand, now: int) -> bool:
        """Whether it is all that the call needs: what has no bound or no price, or needs more, is looked at anew."""
        return (
            self.since <= now < self.until
            and not (demand.extra_actions or demand.unbounded or demand.credential_id)
            and bool(demand.price.tiers)
        )


def use_of(ask: Ask) -> Use:
    demand = ask.demand
    return ask.jti, demand.provider, demand.model, demand.action


def make_ready(
    standing: Standing, allowance: Allowance, demand: Demand, charged: Iterable[CounterKey], now: int
) -> Ready:
    keys = tuple(charged)
    same = (
        *(standing.grant_id, allowance.access_id, standing.jti, standing.user_id, allowance.credential.id),
        *(demand.provider, demand.model, demand.action),
    )
    scopes = limited(allowance)
    since, until = _span(standing, allowance, now)
    counted = tuple(scopes_of(keys)) if scopes else ()
    return Ready(allowance, since, until, keys, scopes, counted, standing.grant_id, same, dump_keys(keys))


def _span(standing: Standing, allowance: Allowance, now: int) -> tuple[int, int]:
    windows = [(allowance.budget_per, 1), *((each.per, each.anchor_day) for each in allowance.overall)]
    windows += [(cap.budget_per, 1) for cap in allowance.caps]
    ends = [end for per, day in windows if (end := period.end(per, now, day)) is not None]
    until = min(standing.ends_at, *(each.ends_at for each in standing.allowances), *ends)
    return max(period.start(per, now, day) for per, day in windows), until
