"""The books' operations and answers as plain values, for the line between two processes of one broker."""

from collections.abc import Callable
from typing import Any

from broker.core.credential import SealedKey
from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.core.usage import Usage
from broker.ledger.ask import Ask, Reservation
from broker.ledger.judge import Demand
from broker.ledger.keys import CounterKey
from broker.ledger.rates import RateLeft
from broker.ledger.settle import Close, Ending, Settled, read_price, stored_price
from broker.ledger.transaction import Answer

Plain = tuple[Any, ...]


def ask_to_plain(ask: Ask) -> Plain:
    d = ask.demand
    demand = (
        d.provider, d.model, d.action, tuple(d.extra_actions), d.input_bound, d.own_output, d.model_output, d.choices,
        d.covers_reasoning, d.streamed, stored_price(d.price), d.unbounded,
    )  # fmt: skip
    return ask.id, ask.jti, ask.boot_id, demand


def ask_of(plain: Plain) -> Ask:
    reservation_id, jti, boot_id, d = plain
    demand = Demand(d[0], d[1], d[2], frozenset(d[3]), d[4], d[5], d[6], d[7], d[8], d[9], read_price(d[10]), d[11])
    return Ask(reservation_id, jti, demand, boot_id)


def close_to_plain(close: Close) -> Plain:
    e = close.ending
    usage = None if e.usage is None else _usage_to_plain(e.usage)
    return close.reservation_id, e.mark, e.outcome, usage, e.status, e.reached


def close_of(plain: Plain) -> Close:
    reservation_id, mark, outcome, usage, status, reached = plain
    return Close(reservation_id, Ending(mark, outcome, None if usage is None else Usage(*usage), status, reached))


def _usage_to_plain(u: Usage) -> Plain:
    return u.input_tokens, u.output_tokens, u.cached_input_tokens, u.cache_write_tokens


def answer_to_plain(answer: Answer | BaseException) -> Plain:
    if isinstance(answer, Reservation):
        return "reservation", _reservation_to_plain(answer)
    if isinstance(answer, Settled):
        return "settled", (answer.cost, answer.overrun)
    if isinstance(answer, CallRefused):
        return "refused", (answer.code, answer.description, answer.retry_after, answer.extra, answer.detail)
    if isinstance(answer, BrokerError):
        return "unavailable" if isinstance(answer, Unavailable) else "broke", (answer.detail,)
    return "broke", (type(answer).__name__,)


def answer_of(plain: Plain) -> Reservation | Settled | BrokerError:
    kind, parts = plain
    return _ANSWERS[kind](*parts)


def _reservation_to_plain(r: Reservation) -> Plain:
    c = r.credential
    credential = (c.id, c.user_id, c.provider, c.source, c.sealed, c.version, c.state, c.removed_at)
    rate = None if r.rate is None else (r.rate.limit, r.rate.remaining, r.rate.reset)
    charged = tuple(tuple(key) for key in r.charged)
    return (
        r.id, r.jti, r.grant_id, r.access_id, credential, r.hold, r.output_max, stored_price(r.price), charged,
        r.money_left, r.money_held, r.admitted_at, r.ends_at, r.changes, rate,
    )  # fmt: skip


def _reservation_of(*p: Any) -> Reservation:
    charged = tuple(CounterKey(*key) for key in p[8])
    rate = None if p[14] is None else RateLeft(*p[14])
    return Reservation(
        p[0],
        p[1],
        p[2],
        p[3],
        SealedKey(*p[4]),
        p[5],
        p[6],
        read_price(p[7]),
        charged,
        p[9],
        p[10],
        p[11],
        p[12],
        p[13],
        rate,
    )


def _refused(
    code: str, description: str, retry_after: int | None, extra: dict[str, int | str], detail: str
) -> CallRefused:
    return CallRefused(code, description, retry_after=retry_after, extra=extra, detail=detail)


_ANSWERS: dict[str, Callable[..., Reservation | Settled | BrokerError]] = {
    "reservation": _reservation_of,
    "settled": Settled,
    "refused": _refused,
    "unavailable": lambda detail: Unavailable(detail=detail),
    "broke": lambda detail: BrokerError(detail=detail),
}
