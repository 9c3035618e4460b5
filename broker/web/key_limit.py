"""The limit of a key: what all apps of its owner may come to on it together."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.counted import counted
from broker.core.forms import Form
from broker.core.money import MicroUSD, to_decimal
from broker.ledger.key_limits import save_key_limit
from broker.ledger.overall import key_scope
from broker.ledger.overall_limits import Terms
from broker.oauth.consent_terms import CENT
from broker.web.above import bars
from broker.web.context import Web
from broker.web.forms import read_form
from broker.web.key_cards import KeyCard, own_card
from broker.web.session import SignedIn
from broker.web.words import clock_time, money, parse_count_input, parse_money_input

PERIODS = [("day", "a day"), ("week", "a week"), ("month", "a month"), ("grant", "in total")]
_PER = dict(PERIODS)


@dataclass(frozen=True, slots=True)
class Typed:
    """The fields as text; `limited` is "yes" or "no"."""

    limited: str
    budget: str
    requests: str
    per: str


class KeyLimitPages:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def show(self, request: Request) -> Response:
        signed_in, card = await own_card(request, self._web)
        return self._render(request, signed_in, card, _as_it_stands(card), {})

    async def save(self, request: Request) -> Response:
        web = self._web
        signed_in, card = await own_card(request, web)
        form = await read_form(request)
        web.sessions.check(request, signed_in, form, card.purpose)
        typed, problems = read(form), dict[str, str]()
        terms = judge(typed, problems)
        if problems:
            return self._render(request, signed_in, card, typed, problems)
        now, user = web.clock(), signed_in.user
        scope = key_scope(user.id, card.row.id)
        if terms is not None or card.limit is not None:
            await web.db.write(lambda tx: save_key_limit(tx, now, scope, terms, by=user.pseudonym))
        response = RedirectResponse("/keys", 303)
        at = clock_time(now, user.zone, seconds=True)
        web.sessions.flash(response, f"Saved. All apps together: {_words(terms)} on {card.name}, from {at}.")
        return response

    def _render(
        self, request: Request, signed_in: SignedIn, card: KeyCard, typed: Typed, problems: Mapping[str, str]
    ) -> Response:
        return self._web.pages.render(
            request,
            "key_limit.html",
            status=422 if problems else 200,
            signed_in=signed_in,
            card=card,
            typed=typed,
            used=[] if card.limit is None else bars(card.limit),
            periods=PERIODS,
            problems=problems,
        )


def _as_it_stands(card: KeyCard) -> Typed:
    if card.limit is None:
        return Typed("no", "", "", "month")
    limit = card.limit.limit
    budget = "" if limit.budget is None else to_decimal(MicroUSD(limit.budget))
    return Typed("yes", budget, "" if limit.max_requests is None else str(limit.max_requests), limit.per)


def read(form: Form) -> Typed:
    return Typed(form.text("limited"), form.text("budget"), form.text("requests"), form.text("per"))


def judge(typed: Typed, problems: dict[str, str]) -> Terms | None:
    """None for no limit, and where `problems` are found."""
    if typed.limited == "no":
        return None
    budget = parse_money_input(typed.budget) if typed.budget.strip() else None
    requests = parse_count_input(typed.requests) if typed.requests.strip() else None
    if typed.limited != "yes":
        problems["limited"] = "Choose whether this key has a limit"
    elif not typed.budget.strip() and not typed.requests.strip():
        problems["budget"] = "Enter a spending limit, a number of requests, or both"
    if typed.budget.strip() and budget is None:
        problems["budget"] = "Enter the spending limit as an amount, like 20 or 5.50"
    elif budget is not None and budget < CENT:
        problems["budget"] = "Spending limit must be $0.01 or more. To allow nothing, pause your apps"
    if typed.requests.strip() and not requests:
        problems["requests"] = "Enter requests as a whole number, like 500"
    if typed.per not in _PER:
        problems["per"] = "Choose how long the limit is for"
    return Terms(budget, requests, typed.per)


def _words(terms: Terms | None) -> str:
    """$20.00 and 500 requests a month; no limit here."""
    if terms is None:
        return "no limit here"
    said = [] if terms.budget is None else [f"at most {money(terms.budget, 'limit')}"]
    said += [] if terms.max_requests is None else [counted(terms.max_requests, "request")]
    return f"{' and '.join(said)} {_PER[terms.per]}"
