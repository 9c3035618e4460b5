"""The consent page as its template reads it: one heading, notices, the summary, the fields."""

from dataclasses import dataclass

from broker.core.access import Access as Element
from broker.core.grant import RequestState
from broker.oauth.consent import Answer, Fault
from broker.oauth.consent_case import Case, Kind
from broker.oauth.consent_terms import Offer, element_of
from broker.oauth.key_wanted import is_bound_already
from broker.prices.book import PriceBook
from broker.providers.registry import Registry, label
from broker.store.accesses import as_granted
from broker.store.grant_tables import Access
from broker.store.tables import Credential
from broker.web import consent_summary, consent_words
from broker.web.consent_fields import Fields, fields_of
from broker.web.consent_form import STARTED, Filled, field_id
from broker.web.consent_notices import Notice, address_of, notices_of
from broker.web.consent_summary import Line, Reader, Row
from broker.web.words import day, instant, money


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one access; its label heads them where there are several."""

    label: str
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Other:
    """A live access that was not asked for: it stays unless it is unticked."""

    id: str
    label: str
    said: str
    kept: bool


@dataclass(frozen=True, slots=True)
class View:
    heading: str
    app: str
    kind: Kind
    facts: str
    address: str
    verified: bool
    outlined: bool
    """Neither answer stands out, because one of them gives more or nobody has checked the app."""
    notices: list[Notice]
    same_limits: list[str]
    rows: list[Row]
    blocks: list[Block]
    is_last_valid: bool
    purposes: list[str]
    fields: list[Fields]
    others: list[Other]
    missing: list[tuple[str, str]]
    """Providers of which there is no key to lend, by name and label."""
    can_approve: bool
    is_open: bool
    back: tuple[str, str]
    started: bool
    key_wanted: bool
    is_bound_already: bool
    """Whether the app signs its requests anyway, so that there is nothing to tick."""
    problems: dict[str, str]


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes the view of a case for one reader."""

    registry: Registry
    prices: PriceBook
    reader: Reader
    contact: str

    def __call__(self, case: Case, filled: Filled, shown: Answer, fault: Fault | None, *, reviewed: bool) -> View:
        """`shown` are terms that are valid, for the summary; `filled` is what stands in the fields."""
        problems = self._problems(case, fault)
        missing = dict.fromkeys(offer.asked.provider for offer in case.offers if not offer.keys)
        notices = notices_of(case, shown, self.registry, self.reader, self.contact)
        one_key = all(len(offer.keys) == 1 for offer in case.offers)
        broad = any(pattern.endswith("*") for offer in case.offers for pattern in offer.asked.models)
        folded = case.kind is Kind.FRESH and bool(case.client.verified) and one_key and not broad
        return View(
            heading=_heading(case, self.reader.app),
            app=self.reader.app,
            kind=case.kind,
            facts=self._facts(case),
            address=address_of(case),
            verified=bool(case.client.verified),
            outlined=case.kind is Kind.WIDER or not case.client.verified,
            notices=notices,
            same_limits=self._same_limits(case),
            rows=self._rows(case),
            blocks=self._blocks(case, shown),
            is_last_valid=fault is not None and any(fault.problems),
            purposes=list(dict.fromkeys(offer.asked.purpose for offer in case.offers if offer.asked.purpose)),
            fields=self._fields(case, filled, problems),
            others=[self._other(row, filled) for row in case.others],
            missing=[(name, label(name)) for name in missing],
            can_approve=any(offer.keys for offer in case.offers),
            is_open=reviewed or bool(problems) or not folded,
            back=consent_words.way_back(case.request.redirect_uri),
            started=filled.started,
            key_wanted=filled.key_wanted,
            is_bound_already=is_bound_already(case.client),
            problems=problems,
        )

    def _problems(self, case: Case, fault: Fault | None) -> dict[str, str]:
        if fault is None:
            return {}
        several = len(case.offers) > 1
        said = {}
        for position, (offer, problems) in enumerate(zip(case.offers, fault.problems, strict=True)):
            for problem in problems:
                sentence = consent_words.problem_words(problem, offer, self.reader.app, self.reader.zone)
                prefix = f"{label(offer.asked.provider)}: " if several else ""
                said[field_id(position, problem.field)] = prefix + sentence
        if fault.nothing:
            said[field_id(0, "drop")] = "Choose at least one thing to allow, or deny the request"
        if fault.not_started:
            said[STARTED] = "Tick the box if you started this yourself, or deny the request"
        return said

    def _facts(self, case: Case) -> str:
        since = "First seen" if case.client.source == "document" else "Registered"
        registered = f"{since} {day(case.client.created_at, self.reader.zone)}."
        last = case.last_answer
        if last is None or last.decided_at is None:
            before = "You have not used it before." if case.grant is None else "It has access to your keys already."
            return f"{registered} {before}"
        did = "approved" if last.state == RequestState.APPROVED.value else "denied"
        return f"{registered} You {did} it on {day(last.decided_at, self.reader.zone)}."

    def _same_limits(self, case: Case) -> list[str]:
        if case.kind is not Kind.RECONNECT:
            return []
        said = "Same limits as before" if case.is_unchanged else "It asks for less than it has"
        return [
            f"{said}: {self._left(offer.present.left, offer.present.element)}."
            for offer in case.offers
            if offer.present is not None
        ]

    def _left(self, left: int, element: Element) -> str:
        limit = 0 if element.budget is None else element.budget.amount
        ends = instant((element.expires_at or 0) * 1_000_000, self.reader.zone)
        return f"{money(left, 'left')} of {money(limit, 'limit')} is left, ends {ends}"

    def _rows(self, case: Case) -> list[Row]:
        several = len(case.offers) > 1
        changed = [
            row
            for offer in case.offers
            for row in consent_summary.rows(offer, label(offer.asked.provider), self.reader, several=several)
        ]
        return changed + [consent_summary.ending(row, label(row.provider)) for row in case.ending]

    def _blocks(self, case: Case, shown: Answer) -> list[Block]:
        blocks = []
        for offer, terms in zip(case.offers, shown.terms, strict=True):
            name = label(offer.asked.provider)
            if terms.dropped and offer.optional:
                continue
            keys = [case.keys[key] for key in (terms.credential_id, *terms.spares) if key in case.keys]
            blocks.append(Block(name, consent_summary.lines(element_of(offer, terms), keys, offer, name, self.reader)))
        if blocks and shown.key_wanted:
            blocks[-1].lines.append(consent_summary.key_line())
        return blocks

    def _fields(self, case: Case, filled: Filled, problems: dict[str, str]) -> list[Fields]:
        return [
            fields_of(position, offer, typed, self._keys(case, offer), problems, self.prices, self.reader)
            for position, (offer, typed) in enumerate(zip(case.offers, filled.accesses, strict=True))
        ]

    def _keys(self, case: Case, offer: Offer) -> list[Credential]:
        return [case.keys[key_id] for key_id in offer.keys]

    def _other(self, row: Access, filled: Filled) -> Other:
        element = as_granted(row, "")
        budget = "" if element.budget is None else consent_words.per(element.budget)
        said = f"Up to {budget}, ends {instant(row.ends_at, self.reader.zone)}"
        return Other(row.id, label(row.provider), said, row.id in filled.kept)


def _heading(case: Case, app: str) -> str:
    labels = list(dict.fromkeys(label(offer.asked.provider) for offer in case.offers))
    keys = consent_words.keys_of(labels)
    match case.kind:
        case Kind.FRESH:
            return f"{app} wants to use your {keys}"
        case Kind.WIDER:
            return f"{app} asks for more of your {keys}"
        case Kind.RECONNECT:
            return f"Reconnect {app}?"
