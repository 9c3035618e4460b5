"""By which of its keys a call goes: rules of an access that has several, and when none of them can be used."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256

from broker.core.clock import MINUTE, SECOND, from_seconds, utc
from broker.core.credential import SealedKey
from broker.core.errors import CallRefused
from broker.ledger.charges import Charge
from broker.ledger.keys import requests_key
from broker.ledger.standing import Allowance
from broker.ledger.statements import USED_OF_LATE
from broker.store.steps import Steps

Found = tuple[Allowance, list[Charge]]
Pending = Callable[[str], Mapping[str, int]]
"""The calls of an access that this transaction has admitted already, by credential id."""


def awake(allowances: Iterable[Allowance], now: int) -> list[Allowance]:
    """Each access once for each of its keys that does not rest, by priority; raises CallRefused if all of them rest.

    An access with one key is left as it is: its provider says itself, to each call, that it does not take it now.
    """
    found: list[Allowance] = []
    resting: list[SealedKey] = []
    for allowance in allowances:
        if not allowance.spares:
            found.append(allowance)
            continue
        found += [each for each in allowance.by_key if each.credential.rests_until <= now]
        resting += [each.credential for each in allowance.by_key if each.credential.rests_until > now]
    if not found:
        raise all_rest(min(key.rests_until for key in resting), now)
    return found


def all_rest(until: int, now: int) -> CallRefused:
    """`available_at` in seconds since 1970, rounded up so that whoever comes then does not come too early."""
    wait = max(1, -(-(until - now) // SECOND))
    at = -(-until // SECOND)
    words = f"No key behind this access can be used now. The first one can be tried again at {utc(from_seconds(at))}."
    return CallRefused("provider_key_unavailable", words, retry_after=wait, extra={"available_at": at})


def ranked(
    keys: Sequence[SealedKey], strategy: str, *, turn: int, used: Mapping[str, int], conversation: int
) -> list[SealedKey]:
    """The keys in the order in which they are tried; `keys` come by priority, which also decides among equals."""
    if strategy == "round_robin":
        first = turn % len(keys)
        return [*keys[first:], *keys[:first]]
    if strategy == "least_used":
        return sorted(keys, key=lambda key: used.get(key.id, 0))
    if strategy == "affinity" and conversation:
        # The highest random weight: a key that rests or goes moves its own conversations only, and gets them back.
        return sorted(keys, key=lambda key: sha256(f"{conversation}:{key.id}".encode()).digest(), reverse=True)
    return list(keys)


def ordered(found: list[Found], conversation: int, pending: Pending, now: int) -> Steps[list[Found]]:
    """The same, each access's keys in the order of its strategy; nothing is read where no access has several."""
    if not any(allowance.pooled for allowance, _ in found):
        return found
    groups: dict[str, list[Found]] = {}
    for allowance, charges in found:
        groups.setdefault(allowance.access_id, []).append((allowance, charges))
    result: list[Found] = []
    for access_id, group in groups.items():
        allowance = group[0][0]
        used = (yield from used_of_late(access_id, pending, now)) if allowance.strategy == "least_used" else {}
        by_id = {each.credential.id: (each, charges) for each, charges in group}
        keys = [each.credential for each, _ in group]
        turn = _calls(group[0])
        order = ranked(keys, allowance.strategy, turn=turn, used=used, conversation=conversation)
        result += [by_id[key.id] for key in order]
    return result


def used_of_late(access_id: str, pending: Pending, now: int) -> Steps[Mapping[str, int]]:
    """How many calls of the last minute went by each key."""
    used: dict[str, int] = dict((yield USED_OF_LATE, [(access_id, now - MINUTE)]))
    for credential_id, calls in pending(access_id).items():
        used[credential_id] = used.get(credential_id, 0) + calls
    return used


def _calls(found: Found) -> int:
    """How many calls the access has made: the books are the only memory of whose turn it is."""
    allowance, charges = found
    key = requests_key(allowance.access_id)
    tally = next(charge.tally for charge in charges if charge.key == key)
    return tally.settled + tally.held
