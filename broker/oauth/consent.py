"""The decision: one person approves a grant request on their own terms, or denies it, once and in one transaction."""

import json
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.access import Access as Element
from broker.core.access import first_excess
from broker.core.clock import MINUTE, from_seconds
from broker.core.details import parse_details
from broker.core.errors import BrokerError
from broker.core.grant import RequestState
from broker.core.handle import digest
from broker.ledger.limits import change_limits, open_access
from broker.oauth.consent_case import Case
from broker.oauth.consent_judge import judge
from broker.oauth.consent_terms import Offer, Problem, Terms, ceiling, element_of
from broker.oauth.key_wanted import want_key
from broker.store import answers, changes, granting
from broker.store.accesses import as_granted
from broker.store.grant_tables import Access, Grant, GrantRequest
from broker.store.granting import Given
from broker.store.tables import User

LONGEST = 60 * MINUTE
"""How long reloading can keep a request open, from its first opening."""


class Effect(StrEnum):
    """What an approval did to what the app had before."""

    NEW = "new"
    MORE = "more"
    SAME = "same"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person chose: terms for each access asked for, the other live accesses that stay, and a word of their own.

    `started` says that they started this themselves, which is asked of them where nobody has checked the app; `key_wanted`
    that they want each token bound to a key of the app's.
    """

    terms: tuple[Terms, ...]
    kept: frozenset[str] = frozenset()
    started: bool = False
    key_wanted: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an answer cannot be granted: the problems of each access, and those of the answer as a whole."""

    problems: tuple[tuple[Problem, ...], ...]
    nothing: bool = False
    not_started: bool = False


class NotGranted(BrokerError):
    """An answer that was not judged before, or that more was asked of than the request allows."""


class AlreadyAnswered(BrokerError):
    """The request was answered before, has ended, or belongs to whoever opened it since."""


@dataclass(frozen=True, slots=True)
class Approved:
    """What was approved: for each access asked for the element as granted, or None where it was left out."""

    grant: Grant
    granted: tuple[Element | None, ...]
    effect: Effect


async def open_request(tx: AsyncSession, request: GrantRequest, user: User, now: int, seconds: int) -> None:
    """Binds a pending request to who looks at it, and keeps it open for so many seconds more.

    A device was told how long it may ask: what was approved later would reach nobody.
    """
    opened_at = now if request.opened_at is None else request.opened_at
    longer = min(now + from_seconds(seconds), opened_at + LONGEST)
    ends_at = request.ends_at if request.kind == "device" else longer
    await answers.open_for(tx, request, user.id, now, ends_at)


def judge_answer(case: Case, answer: Answer, now: int) -> Fault | None:
    """None when this answer can be approved."""
    if len(answer.terms) != len(case.offers):
        raise ValueError("one choice for each access asked for")
    pairs = list(zip(case.offers, answer.terms, strict=True))
    problems = tuple(() if _is_left_out(offer, terms) else judge(offer, terms, now) for offer, terms in pairs)
    all_left_out = all(_is_left_out(offer, terms) for offer, terms in pairs)
    nothing = all_left_out and not any(row.id in answer.kept for row in case.others)
    not_started = not case.client.verified and not answer.started
    if nothing or not_started or any(problems):
        return Fault(problems, nothing, not_started)
    return None


async def approve(tx: AsyncSession, case: Case, answer: Answer, now: int) -> Approved:
    """Writes the grant and closes the request; the caller makes the code in the same transaction.

    Raises NotGranted for an answer that `judge_answer` finds fault with, or AlreadyAnswered.
    """
    if judge_answer(case, answer, now) is not None:
        raise NotGranted
    given = tuple(_given(offer, terms, now) for offer, terms in zip(case.offers, answer.terms, strict=True))
    effects = []
    if case.grant is None:
        grant = await _create(tx, case, given, now)
        effects.append(Effect.NEW)
    else:
        grant = case.grant
        for row, one in zip(case.continued, given, strict=True):
            effects.append(await _continue(tx, grant, row, one, now))
        let_go = [row for row in case.others if row.id not in answer.kept]
        effects += [await _end(tx, row, now) for row in (*let_go, *case.ending)]
        for row in case.lapsed:
            await granting.end_access(tx, row, now)
        await granting.touch(tx, grant, now)
    await want_key(tx, grant, now, wanted=answer.key_wanted, by=case.user.pseudonym)
    elements = tuple(None if one is None else one.element for one in given)
    effect = next((one for one in (Effect.NEW, Effect.MORE, Effect.LESS) if one in effects), Effect.SAME)
    written = _to_json(elements, effect)
    if not await answers.mark_approved(tx, case.request, case.user.id, grant.id, written, now):
        raise AlreadyAnswered
    await _record_approval(tx, case, grant, elements, effect, written, now)
    return Approved(grant, elements, effect)


async def deny(tx: AsyncSession, request: GrantRequest, user: User, now: int) -> None:
    """Raises AlreadyAnswered."""
    if not await answers.mark_denied(tx, request, user.id, now):
        raise AlreadyAnswered
    await record(
        tx, now, "consent.denied", user.pseudonym, request.id, client_id=request.client_id, asked=digest(request.asked)
    )


def read_granted(request: GrantRequest) -> tuple[tuple[Element | None, ...], Effect]:
    """What an approved request says was granted, access by access as asked."""
    stored = json.loads(request.granted)
    elements = tuple(None if wire is None else parse_details([wire], "token")[0] for wire in stored["granted"])
    return elements, Effect(stored["effect"])


def _to_json(elements: tuple[Element | None, ...], effect: Effect) -> str:
    wires = [None if element is None else element.to_wire() for element in elements]
    return json.dumps({"effect": effect.value, "granted": wires}, separators=(",", ":"))


def _is_left_out(offer: Offer, terms: Terms) -> bool:
    return terms.dropped and offer.optional


def _given(offer: Offer, terms: Terms, now: int) -> Given | None:
    if _is_left_out(offer, terms):
        return None
    element = element_of(offer, terms)
    # Judged already; this is the order itself, so that no slip there can ever grant more than was asked for.
    excess = first_excess(element, ceiling(offer, now))
    if excess is not None:
        raise NotGranted(detail=f"{excess} in excess")
    return Given(terms.credential_id, element, terms.spares)


async def _create(tx: AsyncSession, case: Case, given: tuple[Given | None, ...], now: int) -> Grant:
    chosen = [one for one in given if one is not None]
    grant = await granting.create_grant(tx, case.user.id, case.client.id, "consent", [], now)
    for one in chosen:
        await open_access(tx, await granting.add_access(tx, grant.id, one, now), now)
    return grant


async def _continue(tx: AsyncSession, grant: Grant, row: Access | None, given: Given | None, now: int) -> Effect:
    if row is None:
        if given is None:
            return Effect.SAME
        await open_access(tx, await granting.add_access(tx, grant.id, given, now), now)
        return Effect.MORE
    if given is None:
        return await _end(tx, row, now)
    before = replace(as_granted(row, ""), identifier=None)
    await granting.change_access(tx, row, given)
    await change_limits(tx, row, now)
    after = replace(as_granted(row, ""), identifier=None)
    if first_excess(before, after) is not None:
        await changes.bump(tx)
    if first_excess(after, before) is not None:
        return Effect.MORE
    return Effect.SAME if first_excess(before, after) is None else Effect.LESS


async def _end(tx: AsyncSession, row: Access, now: int) -> Effect:
    await granting.end_access(tx, row, now)
    await changes.bump(tx)
    return Effect.LESS


async def _record_approval(
    tx: AsyncSession,
    case: Case,
    grant: Grant,
    elements: tuple[Element | None, ...],
    effect: Effect,
    written: str,
    now: int,
) -> None:
    granted = [element for element in elements if element is not None]
    await record(
        tx,
        now,
        "consent.approved",
        case.user.pseudonym,
        grant.id,
        request_id=case.request.id,
        client_id=case.client.id,
        action=case.request.action,
        effect=effect.value,
        asked=digest(case.request.asked),
        granted=digest(written),
        budget=sum(element.budget.amount for element in granted if element.budget is not None),
        expires_at=max((element.expires_at or 0 for element in granted), default=0),
    )


def is_open(request: GrantRequest, now: int) -> bool:
    return request.state == RequestState.PENDING.value and request.ends_at > now
