"""What may be done to the books, as hypothesis draws it."""

from hypothesis import strategies as st

from broker.core.access import RateLimit
from broker.core.grant import GrantEvent
from tests.books.model import Above
from tests.books.world import ESTIMATED, NOT_RUN, REFUSED_THERE, reported

DEPTHS = st.sampled_from([2, 0, 1])
"""An agent's token, that of the whole grant, and the one that the agent's was made out of."""
ENDINGS = st.one_of(
    st.sampled_from([NOT_RUN, REFUSED_THERE, ESTIMATED]),
    st.builds(reported, st.integers(1, 120), st.integers(0, 60)),
    st.builds(reported, st.just(500), st.integers(0, 60)),
)
MOVES = st.sampled_from([GrantEvent.PAUSE, GrantEvent.RESUME, GrantEvent.UNFREEZE, GrantEvent.UNFREEZE])
RATES = st.builds(
    RateLimit,
    requests_per_minute=st.none() | st.integers(1, 6),
    tokens_per_minute=st.none() | st.integers(100, 900),
    concurrent=st.none() | st.integers(1, 4),
)
ABOVE_IT = st.builds(
    Above,
    budget=st.integers(0, 2_000),
    requests=st.none() | st.integers(0, 12),
    per=st.sampled_from(["grant", "day", "week", "month"]),
    anchor_day=st.integers(1, 31),
) | st.builds(Above, st.none(), st.integers(0, 12), st.sampled_from(["grant", "day", "week", "month"]))
