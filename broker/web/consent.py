"""/consent/{id}: where a person decides how much of their keys an app may spend, and until when."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.errors import BadForm
from broker.core.forms import Form
from broker.oauth.code import make_code
from broker.oauth.consent import AlreadyAnswered, Answer, Fault, approve, deny, is_open, judge_answer, open_request
from broker.oauth.consent_case import Case, read_case
from broker.oauth.consent_target import NotTheirGrant
from broker.oauth.consent_terms import Policy
from broker.oauth.receipt import Said, make_receipt
from broker.oauth.signing import Signer
from broker.providers.registry import label
from broker.store.grant_tables import GrantRequest
from broker.store.tables import User
from broker.web import consent_summary
from broker.web.consent_device import DeviceBlock, device_block
from broker.web.consent_done import ClosedRequest, find_request
from broker.web.consent_form import SHOWN_AS, Filled, read_answer, shown_as, start_answer, start_form
from broker.web.consent_summary import Reader
from broker.web.consent_text import text_of
from broker.web.consent_view import Builder, View
from broker.web.context import Web
from broker.web.forms import read_form
from broker.web.key_entry import Check, KeyEntry
from broker.web.lent import app_name
from broker.web.pages import not_you
from broker.web.session import NotSignedIn, SignedIn

_ADDED = "Key added. Nothing has been approved yet."


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The form that adds a missing key on the way."""

    provider: str
    label: str
    name: str = "Personal"
    hint: str = ""
    takes_address: bool = False
    address: str = ""

    @property
    def id(self) -> str:
        return f"key-{self.provider}"


@dataclass(frozen=True, slots=True)
class Shown:
    """One look at a pending request: what stands in its fields, and what they mean as far as that is valid."""

    case: Case
    filled: Filled
    answer: Answer
    now: int
    fault: Fault | None = None
    reviewed: bool = False
    key_problem: dict[str, str] = field(default_factory=dict)
    key_name: str = "Personal"
    key_address: str = ""


class ConsentPages:
    _sites: ClassVar[dict[str, str]] = {
        "openai": "platform.openai.com → API keys",
        "anthropic": "console.anthropic.com → API keys",
        "google": "aistudio.google.com → API keys",
        "mistral": "console.mistral.ai → API keys",
        "cohere": "dashboard.cohere.com → API keys",
    }

    def __init__(self, web: Web, check: Check, signer: Signer) -> None:
        settings = web.settings
        self._web = web
        self._signer = signer
        self._keys = KeyEntry(web, check)
        self._closed = ClosedRequest(web)
        self._policy = Policy(
            max_budget=settings.max_budget,
            default_budget=min(settings.default_budget, settings.max_budget),
            max_seconds=settings.max_days * 86_400,
            default_seconds=min(settings.default_days, settings.max_days) * 86_400,
            operator_keys=settings.operator_keys,
        )

    async def show(self, request: Request) -> Response:
        signed_in, now = await self._require(request), self._web.clock()

        async def work(tx: AsyncSession) -> Shown | None:
            found = await find_request(tx, request.path_params["id"], signed_in.user, now)
            if not is_open(found[0], now):
                return None
            await open_request(tx, found[0], signed_in.user, now, self._web.settings.consent_seconds)
            return self._start(await read_case(tx, *found, signed_in.user, self._policy, now), now)

        try:
            seen = await self._web.db.write(work)
        except NotTheirGrant:
            return await self._closed.cannot_answer(request, signed_in)
        if seen is None:
            return await self._closed.page(request, signed_in, at_done=False)
        return self._page(request, signed_in, seen)

    async def answer(self, request: Request) -> Response:
        signed_in, form = await self._require(request), await read_form(request)
        request_id = request.path_params["id"]
        self._web.sessions.check(request, signed_in, form, f"consent:{request_id}")
        match form.one("action"):
            case "approve" | "review" as action:
                return await self._judge(request, signed_in, form, approving=action == "approve")
            case "deny":
                return await self._deny(request, signed_in)
            case "key":
                return await self._add_key(request, signed_in, form)
            case _:
                raise BadForm(detail="no such action")

    async def done(self, request: Request) -> Response:
        return await self._closed.page(request, await self._require(request), at_done=True)

    async def _require(self, request: Request) -> SignedIn:
        signed_in = await self._web.sessions.current(request)
        if signed_in is None:
            raise NotSignedIn(f"/consent/{request.path_params['id']}")
        return signed_in

    async def _judge(self, request: Request, signed_in: SignedIn, form: Form, *, approving: bool) -> Response:
        now = self._web.clock()

        async def work(tx: AsyncSession) -> Shown | None:
            found = await find_request(tx, request.path_params["id"], signed_in.user, now)
            if not _is_to_be_answered(found[0], signed_in.user, now):
                return None
            case = await read_case(tx, *found, signed_in.user, self._policy, now)
            if form.text(SHOWN_AS) != shown_as(case.client):
                return self._start(case, now)
            filled, answer = read_answer(form, case, now)
            # The box that says who started this belongs to the decision: a look at the summary needs none.
            fault = judge_answer(case, answer if approving else replace(answer, started=True), now)
            if fault is not None or not approving:
                return Shown(case, filled, _last_valid(case, answer, fault, now), now, fault, reviewed=True)
            view = self._view(signed_in, Shown(case, filled, answer, now))
            approved = await approve(tx, case, answer, now)
            said = Said(view.app, view.address, text_of(view, self._device(case, now)))
            await make_receipt(tx, self._signer, case, approved, said, now)
            if case.device is None:
                await make_code(tx, self._web.vault, case.request, approved.grant, now, self._web.settings)
            return None

        try:
            seen = await self._web.db.write(work)
        except (AlreadyAnswered, NotTheirGrant):
            seen = None
        return self._onward(request) if seen is None else self._page(request, signed_in, seen)

    async def _deny(self, request: Request, signed_in: SignedIn) -> Response:
        now = self._web.clock()

        async def work(tx: AsyncSession) -> None:
            found, _ = await find_request(tx, request.path_params["id"], signed_in.user, now)
            if _is_to_be_answered(found, signed_in.user, now):
                await deny(tx, found, signed_in.user, now)

        await self._web.db.write(work)
        return self._onward(request)

    async def _add_key(self, request: Request, signed_in: SignedIn, form: Form) -> Response:
        now = self._web.clock()

        async def work(tx: AsyncSession) -> Shown | None:
            found = await find_request(tx, request.path_params["id"], signed_in.user, now)
            if not _is_to_be_answered(found[0], signed_in.user, now):
                return None
            return self._start(await read_case(tx, *found, signed_in.user, self._policy, now), now)

        try:
            seen = await self._web.db.read(work)
        except NotTheirGrant:
            seen = None
        if seen is None:
            return self._onward(request)
        asked = {offer.asked.provider for offer in seen.case.offers}
        provider = self._web.registry.get(form.text("provider"))
        if provider is None or provider.name not in asked:
            raise BadForm(detail="a key for a provider that was not asked for")
        name, address, field_id = form.text("name"), form.text("address"), KeyForm(provider.name, "").id
        place = self._keys.place(provider, address)
        if isinstance(place, str):
            wrong = {f"{field_id}-address": place}
        else:
            added = await self._keys.add(signed_in.user, place, form.text("key"), name)
            wrong = {field_id: added} if isinstance(added, str) else {}
        if wrong:
            return self._page(request, signed_in, replace(seen, key_problem=wrong, key_name=name, key_address=address))
        response = RedirectResponse(f"/consent/{seen.case.request.id}", 303)
        self._web.sessions.flash(response, _ADDED)
        return response

    def _start(self, case: Case, now: int) -> Shown:
        return Shown(case, start_form(case, now), start_answer(case, now), now)

    def _onward(self, request: Request) -> Response:
        # Whatever became of the request, one page says it: a repeated answer leads where the first one did.
        return RedirectResponse(f"/consent/{request.path_params['id']}/done", 303)

    def _page(self, request: Request, signed_in: SignedIn, shown: Shown) -> Response:
        row, view = shown.case.request, self._view(signed_in, shown)
        problems = view.problems | shown.key_problem
        return self._web.pages.render(
            request,
            "consent.html",
            status=422 if problems else 200,
            signed_in=signed_in,
            view=view,
            problems=problems,
            device=self._device(shown.case, shown.now),
            not_you="" if shown.case.device is not None else not_you(request.url.path),
            key_forms=[self._key_form(name, shown) for name, _ in view.missing],
            last_line=consent_summary.last_line(),
            action=f"/consent/{row.id}",
            shown_as=(SHOWN_AS, shown_as(shown.case.client)),
            form_token=self._web.sessions.form_token(signed_in, f"consent:{row.id}"),
            open_until=row.ends_at,
        )

    def _device(self, case: Case, now: int) -> DeviceBlock | None:
        return None if case.device is None else device_block(case.device, self._web.vault, now)

    def _view(self, signed_in: SignedIn, shown: Shown) -> View:
        settings, app = self._web.settings, app_name(shown.case.client)
        reader = Reader(app, signed_in.user.zone, settings.instance_name, shown.now)
        build = Builder(self._web.registry, self._web.prices, reader, settings.contact)
        return build(shown.case, shown.filled, shown.answer, shown.fault, reviewed=shown.reviewed)

    def _key_form(self, provider: str, shown: Shown) -> KeyForm:
        instance, site = self._web.settings.instance_name, self._sites.get(provider, "")
        where = f" at {site}, and set a spending limit there too" if site else ""
        hint = f"Make a separate key for {instance}{where}. We store it encrypted and never show it again."
        known = self._web.registry.get(provider)
        brought = known is not None and known.is_brought
        return KeyForm(provider, label(provider), shown.key_name, hint, brought, shown.key_address)


def _is_to_be_answered(request: GrantRequest, user: User, now: int) -> bool:
    return is_open(request, now) and request.user_id == user.id


def _last_valid(case: Case, answer: Answer, fault: Fault | None, now: int) -> Answer:
    """For the summary: what was chosen, or what the form started with where the choice cannot be granted."""
    if fault is None:
        return answer
    start = start_answer(case, now)
    terms = tuple(
        first if problems else chosen
        for first, chosen, problems in zip(start.terms, answer.terms, fault.problems, strict=True)
    )
    return Answer(terms, answer.kept, answer.started, answer.key_wanted)
