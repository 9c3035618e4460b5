"""What is left, in the headers of an answer."""

from broker.core.errors import CallRefused
from broker.core.left import RateLeft
from broker.ledger.reserve import Reservation
from broker.ledger.settle import Settled
from broker.providers.client import Headers


def budget_header(reservation: Reservation, settled: Settled | None) -> tuple[bytes, bytes]:
    """AAuth-Budget (draft-hardt-aauth-budgets): while the call runs its hold is reserved; once booked its cost is known."""
    remaining: int
    reserved: int
    if settled is None:
        remaining, reserved, cost = reservation.money_left, reservation.money_held, ""
    else:
        spent = settled.cost + settled.overrun
        remaining, reserved = (
            reservation.money_left + reservation.hold - spent,
            reservation.money_held - reservation.hold,
        )
        cost = f", cost={spent}"
    return b"aauth-budget", f'remaining={max(0, remaining)}, reserved={reserved}, unit="micro-usd"{cost}'.encode()


def left_headers(refusal: CallRefused) -> Headers:
    """The same of a call that its limits refused: they are as they were."""
    left = refusal.left
    if left is None:
        return []
    budget = f'remaining={left.money}, reserved={left.held}, unit="micro-usd"'
    return [(b"aauth-budget", budget.encode()), *_rate_headers(left.rate)]


def rate_headers(reservation: Reservation) -> Headers:
    """RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers), where requests or tokens a minute are limited."""
    return _rate_headers(reservation.rate)


def _rate_headers(rate: RateLeft | None) -> Headers:
    if rate is None:
        return []
    quotas = []
    if rate.requests is not None:
        quotas.append(("requests", rate.requests, rate.requests_left))
    if rate.tokens is not None:
        quotas.append(("tokens", rate.tokens, rate.tokens_left))
    return [
        (b"ratelimit-policy", ", ".join([f'"{name}";q={quota};w=60' for name, quota, _ in quotas]).encode()),
        (b"ratelimit", ", ".join([f'"{name}";r={left};t={rate.reset}' for name, _, left in quotas]).encode()),
    ]
