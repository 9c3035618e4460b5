"""What a call asks of the books before it is forwarded, and what it is given."""

from typing import NamedTuple

from broker.core.credential import SealedKey
from broker.core.left import RateLeft
from broker.core.money import MicroUSD
from broker.core.usage import Price
from broker.ledger.judge import Demand


class IdempotencyKey(NamedTuple):
    """What an app calls one request by, however often it sends it; both are digests."""

    digest: str
    """Of the key and the grant that it is unique within."""
    body: str
    """Of the whole request: its provider, its path and its body."""


class Ask(NamedTuple):
    """A call that wants to be admitted, under an id that was drawn for it and the lease of its worker."""

    id: str
    jti: str
    demand: Demand
    boot_id: str
    key: IdempotencyKey | None = None


class Reservation(NamedTuple):
    """A durable hold; what is settled against it was fixed here."""

    id: str
    jti: str
    price: Price
    grant_id: str
    access_id: str
    credential: SealedKey
    hold: MicroUSD
    output_max: int
    money_left: MicroUSD
    """Of the tightest money counter, once this hold is taken."""
    money_held: MicroUSD
    admitted_at: int
    ends_at: int
    """When the access ends, whatever still runs."""
    changes: int
    """The counter of changes when it was admitted: what was taken away since, it has to be told."""
    rate: RateLeft | None = None
    has_wish: bool = False
    """Whether what the call would also use is granted."""
    pooled: bool = False
    """Whether the access has other keys, which the call may go on with if this one does not serve it."""


class Failed(NamedTuple):
    """An attempt that did not run; a key that is not taken for a while rests, for this reason and until this instant."""

    credential: SealedKey
    place: int
    """Among the attempts of its call, from 1."""
    started_at: int
    status: int
    outcome: str
    cause: str
    """Empty where the key was not at fault."""
    rests_until: int


class GoOn(NamedTuple):
    """A call that is held wants to go on with another key of its access, after an attempt that did not run."""

    reservation_id: str
    jti: str
    boot_id: str
    access_id: str
    conversation: int
    tried: tuple[str, ...]
    """The ids of its credentials so far."""
    failed: Failed


class WentOn(NamedTuple):
    """The key that the hold is charged to now."""

    credential: SealedKey
