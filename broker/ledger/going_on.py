"""A call that is held goes on with another key: judged anew, charged anew, and committed before a byte leaves again."""

from collections.abc import Sequence
from typing import NamedTuple

from broker.core.credential import SealedKey
from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.ledger.ask import GoOn, WentOn
from broker.ledger.charges import Charge, counters_of
from broker.ledger.judge import check_state, invalid_token, key_unavailable
from broker.ledger.keys import CounterKey, dump_keys
from broker.ledger.late import Load, held_of
from broker.ledger.memory import Memory
from broker.ledger.pool import all_rest, ranked, used_of_late
from broker.ledger.settle import Held
from broker.ledger.standing import Allowance
from broker.ledger.statements import ATTEMPT, CHANGE_KEY
from broker.ledger.tally import Tallies
from broker.store.quarantine import rest
from broker.store.steps import Steps

OF_KEY = ("credential", "tier")
"""The scopes of counters that another key has others of; the allocation of a tier is of the operator's keys."""


class GoingOn(NamedTuple):
    """What such a call is judged by: all of one transaction."""

    memory: Memory
    load: Load
    tallies: Tallies
    began: dict[str, Held]
    """Holds as they are from now on."""
    now: int

    def each(self, wishes: Sequence[tuple[int, GoOn]], ended: set[str]) -> Steps[list[tuple[int, WentOn | Exception]]]:
        """Their answers, by their places among the operations; `ended` are the calls that end in this transaction."""
        running, answers = self.memory.running, list[tuple[int, WentOn | Exception]]()
        yield from self.memory.refresh([wish for _, wish in wishes], self.now)
        stored = yield from held_of(wish.reservation_id for _, wish in wishes if wish.reservation_id not in running)
        for place, wish in wishes:
            # If this is undone although it was committed, only the row itself knows what the call is charged to.
            known = running.pop(wish.reservation_id, None) or stored.get(wish.reservation_id)
            try:
                answers.append((place, (yield from self._one(wish, None if wish.reservation_id in ended else known))))
            except (BrokerError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                answers.append((place, error))
        return answers

    def _one(self, wish: GoOn, held: Held | None) -> Steps[WentOn]:
        """Raises CallRefused when there is no key left, or the call may not go on at all; its key rests all the same."""
        failed, now = wish.failed, self.now
        if failed.cause:
            yield from rest(failed.credential, failed.cause, failed.rests_until, now)
            # What we have just changed ourselves is seen by nobody's number.
            self.memory.doubt()
        if held is None:
            raise Unavailable(detail="the call has ended in the books")
        if self.memory.leases.get(wish.boot_id, 0) <= now:
            raise Unavailable(detail="the lease of this worker has ended in the books")
        found = self.memory.standings.get(wish.jti)
        standing = check_state(None if found is None else found.at(now, expired_token=True))
        allowance = next((each for each in standing.allowances if each.access_id == wish.access_id), None)
        if allowance is None:
            raise invalid_token()
        for each in (yield from self._candidates(wish, allowance)):
            own = yield from self._own_counters(each, held)
            if own is not None:
                yield from self._move(wish, each.credential, held, own)
                return WentOn(each.credential)
        raise _nothing_left(wish, allowance, now)

    def _candidates(self, wish: GoOn, allowance: Allowance) -> Steps[list[Allowance]]:
        keys = {each.credential.id: each for each in allowance.by_key}
        ids, last = list(keys), wish.failed.credential.id
        turn = ids.index(last) + 1 if last in keys else 0
        is_counted = allowance.strategy == "least_used"
        used = (yield from used_of_late(wish.access_id, lambda _: {}, self.now)) if is_counted else {}
        sealed = [each.credential for each in keys.values()]
        order = ranked(sealed, allowance.strategy, turn=turn, used=used, conversation=wish.conversation)
        return [keys[key.id] for key in order if key.id not in wish.tried and key.rests_until <= self.now]

    def _own_counters(self, allowance: Allowance, held: Held) -> Steps[tuple[CounterKey, ...] | None]:
        """What a call is charged to for its key alone; None where the hold does not fit there."""
        limits = {k: v for k, v in counters_of(allowance, self.now).items() if k.scope_kind in OF_KEY}
        new = [key for key in limits if key not in held.charged]
        yield from self.load(new)
        charges = [Charge(key, self.tallies.open(key, limits[key])) for key in new]
        return tuple(limits) if all(charge.fits(held.hold) for charge in charges) else None

    def _move(self, wish: GoOn, key: SealedKey, held: Held, own: tuple[CounterKey, ...]) -> Steps[None]:
        """The row first: where it is held no more, nothing else may move."""
        failed = wish.failed
        before = [each for each in held.charged if each.scope_kind in OF_KEY]
        charged = (*(each for each in held.charged if each not in before), *own)
        if not (yield CHANGE_KEY, [(key.id, dump_keys(charged), wish.reservation_id)]):
            raise Unavailable(detail="the call has ended in the books")
        facts = (failed.credential.id, failed.started_at, self.now, failed.status, failed.outcome)
        yield ATTEMPT, [(wish.reservation_id, failed.place, *facts)]
        gone, new = [each for each in before if each not in own], [each for each in own if each not in before]
        yield from self.load(gone)
        self.tallies.shift(gone, new, held.hold)
        self.began[wish.reservation_id] = held._replace(charged=charged)


def _nothing_left(wish: GoOn, allowance: Allowance, now: int) -> CallRefused:
    """When the first of its keys can be tried again, as far as that is known."""
    failed = wish.failed
    rests = {each.credential.id: each.credential.rests_until for each in allowance.by_key}
    if failed.cause and failed.credential.id in rests:
        rests[failed.credential.id] = max(failed.rests_until, rests[failed.credential.id])
    known = [until for until in rests.values() if until > now]
    return all_rest(min(known), now) if known else key_unavailable()
