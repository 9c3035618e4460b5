"""Gives each of several their own of what they fit, wherever there is a way to do so."""

from collections.abc import Sequence


def paired(fits: Sequence[Sequence[int]]) -> list[int] | None:
    """For each the position that it gets, no position twice; None where not all can have one.

    `fits` are the positions that would do for each, the best first. Whoever has one already makes room for another only
    where nothing free is left, so that the first to ask are the first to choose.
    """
    owners: dict[int, int] = {}
    for who in range(len(fits)):
        if not _place(who, fits, owners, set()):
            return None
    got = {who: position for position, who in owners.items()}
    return [got[who] for who in range(len(fits))]


def _place(who: int, fits: Sequence[Sequence[int]], owners: dict[int, int], tried: set[int]) -> bool:
    free = next((position for position in fits[who] if position not in owners), None)
    if free is not None:
        owners[free] = who
        return True
    for position in fits[who]:
        if position in tried:
            continue
        tried.add(position)
        if _place(owners[position], fits, owners, tried):
            owners[position] = who
            return True
    return False
