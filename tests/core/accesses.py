"""Accesses for property tests: few names and small numbers, so that they often compare."""

from hypothesis import strategies as st

from broker.core.access import ALL_ACTIONS, PERIODS, Access, Budget, RateLimit
from broker.core.money import MicroUSD

LIMITS = st.sampled_from((None, 1, 2, 3, 4))
MODELS = ("*", "gpt-*", "gpt-4o*", "gpt-4o", "gpt-4o-mini", "o1", "claude-*")
BUDGET = st.builds(
    Budget, st.sampled_from([MicroUSD(cents * 10_000) for cents in range(1, 6)]), st.sampled_from(PERIODS)
)
BUDGETS = st.none() | BUDGET
RATES = st.builds(RateLimit, LIMITS, LIMITS, LIMITS)


def subsets(names: tuple[str, ...], least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), min_size=least, max_size=4, unique=True).map(tuple)


ASKED = st.builds(
    Access,
    provider=st.sampled_from(("openai", "anthropic")),
    models=subsets(MODELS),
    actions=subsets(ALL_ACTIONS),
    budget=BUDGETS,
    max_requests=LIMITS,
    rate_limit=RATES,
    max_output_tokens=LIMITS,
    expires_in=st.none() | st.integers(60, 64),
    locations=st.none() | subsets(("https://a.example/proxy", "https://b.example/proxy")),
    purpose=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
"""As a client may ask for it at the authorization endpoint."""

GRANTED = st.builds(
    Access,
    provider=st.sampled_from(("openai", "anthropic")),
    models=subsets(MODELS),
    actions=subsets(ALL_ACTIONS),
    budget=BUDGET,
    max_requests=LIMITS,
    rate_limit=RATES,
    max_output_tokens=LIMITS,
    expires_at=st.integers(100, 104),
    identifier=st.sampled_from(("key_a", "key_b")),
)
"""As the server grants it."""

NARROWING = st.builds(
    Access,
    provider=st.sampled_from(("openai", "anthropic")),
    models=subsets(MODELS, 0),
    actions=subsets(ALL_ACTIONS, 0),
    budget=BUDGETS,
    max_requests=LIMITS,
    rate_limit=RATES,
    max_output_tokens=LIMITS,
    expires_at=st.none() | st.integers(100, 104),
    identifier=st.none() | st.sampled_from(("key_a", "key_b")),
)
"""As a client may ask for it at the token endpoint: any member may be absent."""

ANY = ASKED | GRANTED | NARROWING


@st.composite
def lessened(draw: st.DrawFn, outer: Access) -> Access:
    """Something that asks for no more than `outer`, in every member."""
    patterns = draw(st.lists(st.sampled_from(outer.models), min_size=1, max_size=3, unique=True))
    rates = outer.rate_limit
    return Access(
        provider=outer.provider,
        models=tuple(dict.fromkeys(draw(_inside(pattern)) for pattern in patterns)),
        actions=draw(subsets(outer.actions)),
        budget=draw(_budget_inside(outer.budget)),
        max_requests=draw(_inside_limit(outer.max_requests)),
        rate_limit=RateLimit(
            draw(_inside_limit(rates.requests_per_minute)),
            draw(_inside_limit(rates.tokens_per_minute)),
            draw(_inside_limit(rates.concurrent)),
        ),
        max_output_tokens=draw(_inside_limit(outer.max_output_tokens)),
        expires_in=draw(_inside_limit(outer.expires_in)),
        expires_at=draw(_inside_limit(outer.expires_at)),
        identifier=outer.identifier,
        locations=None if outer.locations is None else draw(subsets(outer.locations)),
    )


def _inside(pattern: str) -> st.SearchStrategy[str]:
    if not pattern.endswith("*"):
        return st.just(pattern)
    return st.sampled_from((pattern, pattern[:-1] + "x", pattern[:-1] + "x*"))


def _inside_limit(limit: int | None) -> st.SearchStrategy[int | None]:
    return LIMITS if limit is None else st.integers(1, limit)


def _budget_inside(outer: Budget | None) -> st.SearchStrategy[Budget | None]:
    if outer is None:
        return BUDGETS
    return st.integers(1, outer.amount).map(lambda amount: Budget(MicroUSD(amount), outer.per))
