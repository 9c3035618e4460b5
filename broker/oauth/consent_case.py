"""Everything that a decision about one grant request rests on, read in one transaction."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access as Element
from broker.core.clock import SECOND
from broker.core.details import parse_details
from broker.ledger.limits import figures
from broker.oauth.consent_changes import changes_of, is_wider
from broker.oauth.consent_target import added_to, find_target
from broker.oauth.consent_terms import Offer, Policy, Present
from broker.store import answers, credentials, devices, grants, spare_keys
from broker.store.accesses import as_granted
from broker.store.grant_tables import Access, Device, Grant, GrantRequest
from broker.store.tables import Client, Credential, User


class Kind(StrEnum):
    FRESH = "fresh"
    RECONNECT = "reconnect"
    WIDER = "wider"


@dataclass(frozen=True, slots=True)
class Case:
    """The request, who asks, who answers, and for each access asked for what may be given.

    `continued` has the live access that each offer goes on with; the live ones that were not asked for are `others`, which
    stay as the person says, or `ending`, which do not.
    """

    request: GrantRequest
    client: Client
    user: User
    offers: tuple[Offer, ...]
    grant: Grant | None = None
    continued: tuple[Access | None, ...] = ()
    others: tuple[Access, ...] = ()
    ending: tuple[Access, ...] = ()
    lapsed: tuple[Access, ...] = ()
    """Accesses past their end, which nobody has cleared away yet."""
    beside: Grant | None = None
    """What the app has already, where this makes it another grant."""
    keys: dict[str, Credential] = field(default_factory=dict)
    last_answer: GrantRequest | None = None
    device: Device | None = None
    """What waits for the answer, where that is no browser."""

    @property
    def kind(self) -> Kind:
        if self.grant is None:
            return Kind.FRESH
        return Kind.WIDER if any(is_wider(offer) for offer in self.offers) else Kind.RECONNECT

    @property
    def is_unchanged(self) -> bool:
        return not self.ending and not any(changes_of(offer) for offer in self.offers)


async def read_case(
    tx: AsyncSession, request: GrantRequest, client: Client, user: User, policy: Policy, now: int
) -> Case:
    """Raises NotTheirGrant."""
    asked = parse_details(request.asked)
    target = await find_target(tx, request, user, now)
    grant = target.grant
    rows = [] if grant is None else await grants.load_accesses(tx, grant.id)
    live = [row for row in rows if row.ends_at > now]
    continued = pair(asked, live)
    keys = {element.provider: await _usable(tx, user, element.provider, policy) for element in asked}
    present = [
        None if row is None else await _present(tx, element, row, now)
        for element, row in zip(asked, continued, strict=True)
    ]
    offers = [
        Offer(
            asked=added_to(element, has) if has is not None and target.adds else element,
            keys=tuple(key.id for key in keys[element.provider]),
            policy=policy,
            present=has,
            continues=grant is not None,
            adds=has is not None and target.adds,
            cautious=not client.verified,
        )
        for element, has in zip(asked, present, strict=True)
    ]
    rest = tuple(row for row in live if row not in continued)
    others = () if target.replaces else rest
    return Case(
        request=request,
        client=client,
        user=user,
        offers=tuple(replace(offer, optional=len(offers) > 1 or bool(others)) for offer in offers),
        grant=grant,
        continued=continued,
        others=others,
        ending=rest if target.replaces else (),
        lapsed=tuple(row for row in rows if row.ends_at <= now),
        beside=target.beside,
        keys=await _named_keys(tx, [*chain.from_iterable(keys.values())], rest),
        last_answer=await answers.last_answer(tx, user.id, client.id),
        device=await devices.of_request(tx, request.id) if request.kind == "device" else None,
    )


def pair(asked: Sequence[Element], live: Sequence[Access]) -> tuple[Access | None, ...]:
    """An access asked for goes on with the live one of the same provider and the same rank among that provider's."""
    waiting: defaultdict[str, list[Access]] = defaultdict(list)
    for row in live:
        waiting[row.provider].append(row)
    return tuple(waiting[element.provider].pop(0) if waiting[element.provider] else None for element in asked)


async def _usable(tx: AsyncSession, user: User, provider: str, policy: Policy) -> list[Credential]:
    return await credentials.usable(tx, user=user, provider=provider, operator_keys=policy.operator_keys)


async def _present(tx: AsyncSession, asked: Element, row: Access, now: int) -> Present:
    now_at = await figures(tx, row, now)
    # A budget that renews gives its whole sum again by itself: what this period has spent is not added to it.
    total = row.budget_per == "grant" and (asked.budget is None or asked.budget.per == "grant")
    approval = await answers.approval_at(tx, row.grant_id, row.created_at)
    given_at = row.created_at if approval is None or approval.opened_at is None else approval.opened_at
    return Present(
        credential_id=row.credential_id,
        element=replace(as_granted(row, ""), identifier=None),
        spent=now_at.money.settled if total else 0,
        left=now_at.money.remaining or 0,
        requests_used=now_at.requests.settled,
        lasts=(row.ends_at - given_at) // SECOND + 1,
        spares=tuple((await spare_keys.ids_of(tx, row))[1:]),
        strategy=row.strategy,
    )


async def _named_keys(
    tx: AsyncSession, usable: Sequence[Credential], others: Sequence[Access]
) -> dict[str, Credential]:
    keys = {key.id: key for key in usable}
    for row in others:
        key = await credentials.load(tx, row.credential_id)
        if key is not None:
            keys[key.id] = key
    return keys
