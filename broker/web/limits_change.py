"""What a change of limits amounts to, said in words, and written down."""

from dataclasses import dataclass, replace

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.access import Access as Element
from broker.core.access import first_excess
from broker.core.clock import from_seconds
from broker.ledger.limits import change_limits
from broker.oauth.consent_terms import COUNT_FIELDS, count_of
from broker.store import changes, granting
from broker.store.granting import Given
from broker.store.tables import User
from broker.web.consent_words import LABELS
from broker.web.lent import Lent, Part
from broker.web.terms import ACTIONS, model_words
from broker.web.words import count, instant, listed, money


@dataclass(frozen=True, slots=True)
class Change:
    """One access and what it becomes."""

    part: Part
    given: Given

    @property
    def is_any(self) -> bool:
        return self.given != Given(self.part.credential.id, self.part.element)

    @property
    def is_narrower(self) -> bool:
        return first_excess(_bare(self.part.element), _bare(self.given.element)) is not None

    @property
    def is_wider(self) -> bool:
        return first_excess(_bare(self.given.element), _bare(self.part.element)) is not None


def stops(change: Change, name: str) -> list[str]:
    """Why the app would stop at once, a sentence for each limit that is newly below what is used."""
    part, new = change.part, change.given.element
    said = []
    if new.budget and new.budget.amount < min(part.access.budget, part.spent):
        said.append(f"Spending limit is below the {money(part.spent)} already spent, so {name} stops at once.")
    used = part.figures.requests.used
    if new.max_requests is not None and new.max_requests < used and new.max_requests != part.access.max_requests:
        said.append(f"Requests in total is below the {count(used)} already made, so {name} stops at once.")
    return said


def words_of(change: Change, zone: str) -> list[str]:
    """Spending limit $5.00 → $3.00, and so on for each thing that changed."""
    old, new = change.part.element, change.given.element
    said = []
    if old.budget and new.budget and old.budget != new.budget:
        before, after = money(old.budget.amount, "limit"), money(new.budget.amount, "limit")
        said.append(f"Spending limit {before} → {after}")
    if old.expires_at != new.expires_at:
        before = instant(change.part.access.ends_at, zone)
        said.append(f"End {before} → {instant(from_seconds(new.expires_at or 0), zone)}")
    provider = change.part.provider
    if gone := [model_words(model, provider) for model in old.models if model not in new.models]:
        said.append(f"Models without {listed(gone)}")
    if gone := [ACTIONS.get(action, action) for action in old.actions if action not in new.actions]:
        said.append(f"Capabilities without {listed(gone)}")
    for field in COUNT_FIELDS:
        was, is_now = count_of(old, field), count_of(new, field)
        if was != is_now:
            said.append(f"{LABELS[field]} {_limit(was)} → {_limit(is_now)}")
    if change.given.credential_id != change.part.credential.id:
        said.append("Another key")
    return said


async def write(tx: AsyncSession, lent: Lent, parts: list[Change], user: User, now: int) -> list[str]:
    """Makes the changes and gives them back in words; empty when nothing differed."""
    real = [change for change in parts if change.is_any]
    if not real:
        return []
    # Said before they are made: the rows are changed in place.
    for_audit = [words for change in real for words in words_of(change, "UTC")]
    for_person = [words for change in real for words in words_of(change, user.zone)]
    raised = any(change.is_wider for change in real)
    for change in real:
        row = change.part.access
        before = (row.budget, row.max_requests)
        await granting.change_access(tx, row, change.given)
        if (row.budget, row.max_requests) != before:
            await change_limits(tx, row, now)
    await granting.touch(tx, lent.grant, now)
    if any(change.is_narrower for change in real):
        await changes.bump(tx)
    changed = ", ".join(for_audit)
    await record(tx, now, "grant.limits_changed", user.pseudonym, lent.grant.id, changes=changed, raised=raised)
    return for_person


def _limit(value: int | None) -> str:
    return "no limit" if value is None else count(value)


def _bare(element: Element) -> Element:
    # The key's handle is not a limit: another key makes an access neither wider nor narrower.
    return replace(element, identifier=None)
