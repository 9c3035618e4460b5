"""The books' operations and answers as flat tuples of plain values, for the line between two processes of one broker."""

from typing import Any

from broker.core.credential import SealedKey
from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.core.extras import NO_EXTRAS, Extras
from broker.core.left import Left, RateLeft
from broker.core.usage import Usage
from broker.ledger.ask import Ask, Failed, GoOn, IdempotencyKey, Reservation, WentOn
from broker.ledger.judge import Demand
from broker.ledger.settle import Close, Ending, Settled, read_price
from broker.ledger.transaction import Answer, Operation

Plain = tuple[Any, ...]

_TOKENS = len(Usage._fields) - 1

RESERVED, SETTLED, REFUSED, UNAVAILABLE, BROKE, WENT_ON = range(6)


def ask_to_plain(ask: Ask) -> Plain:
    d = ask.demand
    return (
        ask.id, ask.jti, ask.boot_id, d.provider, d.model, d.action, d.extra_actions, d.input_bound, d.own_output,
        d.model_output, d.choices, d.covers_reasoning, d.streamed, d.price.text, d.unbounded,
        d.credential_id, d.wish, d.conversation, d.is_fixed, None if ask.key is None else tuple(ask.key),
    )  # fmt: skip


def ask_of(plain: Plain) -> Ask:
    reservation_id, jti, boot_id, *demand, price, unbounded, credential_id, wish, conversation, is_fixed, key = plain
    asked = Demand._make((*demand, read_price(price), unbounded, credential_id, wish, conversation, is_fixed))
    return Ask(reservation_id, jti, asked, boot_id, None if key is None else IdempotencyKey._make(key))


def close_to_plain(close: Close) -> Plain:
    mark, outcome, usage, status, reached, price, _ = close.ending
    told = None if usage is None else _plain_usage(usage)
    return close.reservation_id, mark, outcome, told, status, reached, None if price is None else price.text


def _plain_usage(usage: Usage) -> Plain:
    *tokens, extras = usage
    return (*tokens, *(() if extras is NO_EXTRAS else extras))


def _usage_of(plain: Plain) -> Usage:
    tokens, extras = plain[:_TOKENS], plain[_TOKENS:]
    return Usage._make((*tokens, Extras._make(extras) if extras else NO_EXTRAS))


def close_of(plain: Plain) -> Close:
    reservation_id, mark, outcome, usage, status, reached, price = plain
    told = None if usage is None else _usage_of(usage)
    return Close(
        reservation_id, Ending(mark, outcome, told, status, reached, None if price is None else read_price(price))
    )


def go_on_to_plain(operation: GoOn) -> Plain:
    *parts, failed = operation
    credential, *rest = failed
    return *parts, (tuple(credential), *rest)


def go_on_of(plain: Plain) -> GoOn:
    *parts, (credential, *failed) = plain
    return GoOn._make((*parts, Failed._make((SealedKey._make(credential), *failed))))


def answer_to_plain(answer: Answer) -> Plain:
    if isinstance(answer, Reservation):
        # Who asked knows its id, its token and its price.
        _, _, _, grant_id, access_id, credential, *figures, rate, has_wish, pooled = answer
        return RESERVED, grant_id, access_id, tuple(credential), *figures, _plain(rate), has_wish, pooled
    if isinstance(answer, Settled):
        return SETTLED, *answer
    if isinstance(answer, WentOn):
        return WENT_ON, tuple(answer.credential)
    if isinstance(answer, CallRefused):
        left = None if answer.left is None else (*answer.left[:2], _plain(answer.left.rate))
        return REFUSED, answer.code, answer.description, answer.retry_after, answer.extra, answer.detail, left
    if isinstance(answer, BrokerError):
        return UNAVAILABLE if isinstance(answer, Unavailable) else BROKE, answer.detail
    return BROKE, type(answer).__name__


def answer_of(plain: Plain, operation: Operation) -> Answer:
    """The answer to an operation of ours."""
    kind, *parts = plain
    if kind == RESERVED and isinstance(operation, Ask):
        return _reservation_of(operation, *parts)
    if kind == SETTLED:
        return Settled(*parts)
    if kind == WENT_ON:
        return WentOn(SealedKey._make(parts[0]))
    if kind == REFUSED:
        return _refusal_of(*parts)
    return Unavailable(detail=parts[0]) if kind == UNAVAILABLE else BrokerError(detail=str(parts[0]))


def _refusal_of(
    code: str, description: str, retry_after: int | None, extra: dict[str, int | str], detail: str, left: Plain | None
) -> CallRefused:
    refusal = CallRefused(code, description, retry_after=retry_after, extra=extra, detail=detail)
    if left is not None:
        money, held, rate = left
        refusal.left = Left(money, held, _rate_of(rate))
    return refusal


def _plain(rate: RateLeft | None) -> Plain | None:
    return None if rate is None else tuple(rate)


def _rate_of(plain: Plain | None) -> RateLeft | None:
    return None if plain is None else RateLeft._make(plain)


def _reservation_of(ask: Ask, grant_id: str, access_id: str, credential: Plain, *figures: Any) -> Reservation:
    *rest, rate, has_wish, pooled = figures
    ours = (ask.id, ask.jti, ask.demand.price)
    left = _rate_of(rate)
    return Reservation._make((*ours, grant_id, access_id, SealedKey._make(credential), *rest, left, has_wish, pooled))
