"""Change limits: the one place where a person may raise what an app was given, as well as lower it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.clock import DAY
from broker.core.errors import PageError
from broker.core.forms import Form
from broker.store import credentials, spare_keys
from broker.store.tables import Credential, User
from broker.web.consent_words import CAPABILITIES, LABELS
from broker.web.context import Web
from broker.web.forms import read_form, read_query
from broker.web.lent import Lent, Part, key_name, require_lent
from broker.web.limits_change import Change, stops, write
from broker.web.limits_form import Ceiling, Typed, as_it_stands, end_options, judge, read, start
from broker.web.session import NotSignedIn, SignedIn
from broker.web.terms import Model, terms
from broker.web.words import clock_time

_LEFT: dict[str, Callable[[Part], int | None]] = {
    "budget": lambda part: part.figures.money.remaining,
    "requests": lambda part: part.figures.requests.remaining,
}
"""What an app may have been refused for, by the name of its field."""
KEY = "key"
"""Or for the limit of the key, which has a page of its own."""


@dataclass(frozen=True, slots=True)
class Fields:
    """One access on the form: what it is, what may be chosen, and what stands in the fields."""

    part: Part
    prefix: str
    typed: Typed
    keys: list[tuple[str, str]]
    """Pairs of credential id and words."""
    models: list[Model]
    ends: list[tuple[str, str]]
    ceiling: Ceiling


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a posted form: one of problems, sentences to confirm, or what was saved."""

    lent: Lent
    fields: list[Fields]
    problems: dict[str, str]
    confirm: list[str]
    saved: list[str]


class LimitsPages:
    def __init__(self, web: Web) -> None:
        self._web = web
        self._ceiling = Ceiling(web.settings.max_budget, web.settings.max_days * DAY)

    async def show(self, request: Request) -> Response:
        wanted = read_query(request).one("raise")
        signed_in = await self._require(request, wanted)
        now, grant_id = self._web.clock(), request.path_params["grant_id"]

        async def work(tx: AsyncSession) -> tuple[Lent, list[Fields]]:
            lent = await require_lent(tx, self._web.registry, signed_in.user, grant_id, now)
            return lent, [await self._fields(tx, part, signed_in.user, now, None) for part in lent.parts]

        lent, fields = await self._web.db.read(work)
        if not lent.is_live:
            return RedirectResponse(lent.path, 303)
        if wanted == KEY and (key_id := _tightest_key(lent)):
            return RedirectResponse(f"/keys/{key_id}/limit", 303)
        focus = _tightest(wanted, fields)
        return self._render(request, signed_in, "limits.html", lent=lent, fields=fields, focus=focus)

    async def save(self, request: Request) -> Response:
        web = self._web
        signed_in = await web.sessions.require(request)
        now, grant_id = web.clock(), request.path_params["grant_id"]
        form = await read_form(request)
        web.sessions.check(request, signed_in, form, f"grant:{grant_id}")
        outcome = await web.db.write(lambda tx: self._save(tx, signed_in.user, grant_id, form, now))
        shown: dict[str, Any] = {"lent": outcome.lent, "fields": outcome.fields}
        if outcome.problems:
            return self._render(request, signed_in, "limits.html", 422, problems=outcome.problems, **shown)
        if outcome.confirm:
            return self._render(request, signed_in, "limits_confirm.html", sentences=outcome.confirm, **shown)
        response = RedirectResponse(outcome.lent.path, 303)
        if outcome.saved:
            at = clock_time(now, signed_in.user.zone, seconds=True)
            web.sessions.flash(response, f"Saved. {', '.join(outcome.saved)} from {at}.")
        else:
            web.sessions.flash(response, "Nothing was changed.", "info")
        return response

    async def _require(self, request: Request, wanted: str | None) -> SignedIn:
        """Raises NotSignedIn, which leads back here with what an app was refused for in mind."""
        signed_in = await self._web.sessions.current(request)
        if signed_in is None:
            raise NotSignedIn(f"{request.url.path}?raise={wanted}" if wanted in (*_LEFT, KEY) else request.url.path)
        return signed_in

    async def _save(self, tx: AsyncSession, user: User, grant_id: str, form: Form, now: int) -> Outcome:
        lent = await require_lent(tx, self._web.registry, user, grant_id, now)
        if not lent.is_live:
            raise PageError(409, "This app has ended", "Its limits cannot be changed any more.")
        fields = [await self._fields(tx, part, user, now, form) for part in lent.parts]
        problems: dict[str, str] = {}
        parts: list[Change] = []
        for each in fields:
            judged = judge(each.part, each.typed, [key for key, _ in each.keys], each.ceiling, now)
            problems |= {each.prefix + name: sentence for name, sentence in judged.problems.items()}
            if judged.given is not None:
                parts.append(Change(each.part, judged.given))
        if problems:
            return Outcome(lent, fields, problems, [], [])
        if not form.text("confirm") and (confirm := [said for part in parts for said in stops(part, lent.name)]):
            return Outcome(lent, fields, {}, confirm, [])
        return Outcome(lent, fields, {}, [], await write(tx, lent, parts, user, now))

    async def _fields(self, tx: AsyncSession, part: Part, user: User, now: int, form: Form | None) -> Fields:
        web = self._web
        prefix = f"access-{part.access.position}-"
        usable = await credentials.usable(
            tx, user=user, provider=part.access.provider, operator_keys=web.settings.operator_keys
        )
        typed = start(part) if form is None else read(form, prefix)
        lent = await spare_keys.of(tx, [part.access.id])
        keys = [part.credential, *lent.get(part.access.id, [])]
        is_operators = typed.key == part.credential.id and _is_only_the_operators_to_give(keys, usable)
        ceiling = as_it_stands(part, now) if is_operators else self._ceiling
        return Fields(
            part=part,
            prefix=prefix,
            typed=typed,
            keys=self._keys(part, usable),
            models=terms(part, web.prices, now, user.zone).models,
            ends=end_options(part, ceiling, now, user.zone),
            ceiling=ceiling,
        )

    def _keys(self, part: Part, usable: list[Credential]) -> list[tuple[str, str]]:
        """The present key first, also where it could not be chosen anew."""
        others = [row for row in usable if row.id != part.credential.id]
        return [(row.id, key_name(row, self._web.settings.instance_name)) for row in (part.credential, *others)]

    def _render(
        self, request: Request, signed_in: SignedIn, template: str, status: int = 200, **context: Any
    ) -> Response:
        return self._web.pages.render(
            request,
            template,
            status=status,
            signed_in=signed_in,
            capabilities=CAPABILITIES,
            labels=LABELS,
            **({"focus": ""} | context),
        )


def _is_only_the_operators_to_give(keys: list[Credential], usable: list[Credential]) -> bool:
    """Whether one of the keys is the operator's, which this person could not lend by themselves."""
    theirs = {row.id for row in usable}
    return any(key.user_id is None and key.id not in theirs for key in keys)


def _tightest(wanted: str | None, fields: list[Fields]) -> str:
    """The field of this kind of which the least is left: the one that an app which was refused needs to be raised."""
    if wanted is None or wanted not in _LEFT:
        return ""
    left = {each.prefix + wanted: _LEFT[wanted](each.part) for each in fields}
    limited = {name: remaining for name, remaining in left.items() if remaining is not None}
    return min(limited, key=limited.__getitem__, default="")


def _tightest_key(lent: Lent) -> str:
    """The key of one's own of whose limit the least is left, one that is used up before all; empty where none has one."""
    left = {
        part.credential.id: (not each.is_reached, each.money.remaining or 0)
        for part in lent.parts
        for each in part.above
        if each.limit.is_owners
    }
    return min(left, key=left.__getitem__, default="")
