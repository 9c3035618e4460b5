"""Provider keys: add, check, replace and remove one's own; see what the operator lends."""

from dataclasses import dataclass
from functools import partial

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.audit.record import record
from broker.core.errors import PageError
from broker.ledger.key_limits import save_key_limit
from broker.ledger.overall import key_scope
from broker.ledger.overall_limits import Terms
from broker.ledger.overall_used import Used, keys_in_use, used_of_allocation
from broker.providers.registry import Provider, label
from broker.store import credentials, oauth_tokens, quarantine
from broker.store.tables import User
from broker.vault.credentials import open_credential, remove_credential
from broker.web.above import bars, renews
from broker.web.connect import CONNECT
from broker.web.context import Web
from broker.web.forms import read_form, read_query
from broker.web.key_cards import KeyCard, card_of, own_card
from broker.web.key_entry import TOO_OFTEN, Check, KeyEntry, key_title
from broker.web.key_limit import Typed, judge, read
from broker.web.session import SignedIn

ADD = "keys:new"
NO_LIMIT = Typed("no", "20.00", "", "month")


@dataclass(frozen=True, slots=True)
class Entered:
    """The fields of a new key as text, but for the key."""

    provider: str
    name: str = "Personal"
    address: str = ""
    limit: Typed = NO_LIMIT


class KeyPages:
    def __init__(self, web: Web, check: Check) -> None:
        self._web = web
        self._entry = KeyEntry(web, check)

    async def list(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        now, user = self._web.clock(), signed_in.user

        async def work(tx: AsyncSession) -> tuple[list[KeyCard], list[KeyCard], Used | None, list[str]]:
            may = credentials.may_lend_operators(user, self._web.settings.operator_keys)
            lent_here = await credentials.of_operator(tx) if may else []
            in_use = [row for row in await keys_in_use(tx, user.id, now) if row.user_id is None]
            lent_here += [row for row in in_use if all(row.id != other.id for other in lent_here)]
            own = [await card_of(tx, self._web, row, user, now) for row in await credentials.of_user(tx, user.id)]
            operators = [await card_of(tx, self._web, row, user, now) for row in lent_here]
            return own, operators, await used_of_allocation(tx, user.id, now), await oauth_tokens.providers(tx)

        own, operators, allocation, accounts = await self._web.db.read(work)
        return self._web.pages.render(
            request,
            "keys.html",
            signed_in=signed_in,
            own=own,
            operators=operators,
            allocation=allocation,
            accounts=[(each, label(each)) for each in accounts if self._web.registry.get(each)],
            connect=CONNECT,
            bars=bars,
            renews=partial(renews, zone=user.zone),
        )

    async def show_new(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        asked = self._web.registry.get(read_query(request).text("provider"))
        return self._new(request, signed_in, Entered(asked.name if asked else "openai"), {})

    async def add(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        form = await read_form(request)
        self._web.sessions.check(request, signed_in, form, ADD)
        provider = self._web.registry.get(form.text("provider"))
        typed, problems = read(form), dict[str, str]()
        chosen = provider.name if provider else ""
        entered = Entered(chosen, form.text("name"), form.text("address"), typed)
        terms = judge(typed, problems) if typed.limited else None
        place = self._entry.place(provider, entered.address) if provider else None
        if provider is None:
            problems["provider"] = "Choose a provider"
        if isinstance(place, str):
            problems["address"] = place
        if problems or not isinstance(place, Provider):
            return self._new(request, signed_in, entered, problems)
        added = await self._entry.add(signed_in.user, place, form.text("key"), entered.name)
        if isinstance(added, str):
            return self._new(request, signed_in, entered, {"key": added})
        if terms is not None:
            await self._limit(signed_in.user, added.id, terms)
        response = RedirectResponse("/keys", 303)
        self._web.sessions.flash(response, f"Key added. {key_title(added.name)} works: {place.called} accepts it.")
        return response

    async def _limit(self, user: User, credential_id: str, terms: Terms) -> None:
        now, scope = self._web.clock(), key_scope(user.id, credential_id)
        await self._web.db.write(lambda tx: save_key_limit(tx, now, scope, terms, by=user.pseudonym))

    async def show_replace(self, request: Request) -> Response:
        signed_in, card = await self._own(request)
        return self._replacing(request, signed_in, card, card.row.base_url, {})

    async def replace(self, request: Request) -> Response:
        signed_in, card = await self._own(request)
        provider = self._provider(card)
        form = await read_form(request)
        self._web.sessions.check(request, signed_in, form, card.purpose)
        address = form.text("address")
        place = self._entry.place(provider, address)
        problems = {"address": place} if isinstance(place, str) else {}
        if isinstance(place, Provider) and (
            wrong := await self._entry.replace(signed_in.user, place, card.row.id, form.text("key"))
        ):
            problems = {"key": wrong}
        if problems:
            return self._replacing(request, signed_in, card, address, problems)
        response = RedirectResponse("/keys", 303)
        said = (
            f"{card.name} is replaced. Apps keep working with the new key. Revoke the old one at {card.provider} too."
        )
        self._web.sessions.flash(response, said)
        return response

    def _replacing(
        self, request: Request, signed_in: SignedIn, card: KeyCard, address: str, problems: dict[str, str]
    ) -> Response:
        return self._web.pages.render(
            request,
            "key_replace.html",
            status=422 if problems else 200,
            signed_in=signed_in,
            card=card,
            address=address,
            problems=problems,
        )

    async def show_remove(self, request: Request) -> Response:
        signed_in, card = await self._own(request)
        return self._web.pages.render(request, "key_remove.html", signed_in=signed_in, card=card)

    async def remove(self, request: Request) -> Response:
        signed_in, card = await self._own(request)
        self._web.sessions.check(request, signed_in, await read_form(request), card.purpose)
        now, user = self._web.clock(), signed_in.user

        async def work(tx: AsyncSession) -> None:
            row = await credentials.load(tx, card.row.id)
            if row is not None:
                await remove_credential(tx, row, now=now, by=user.pseudonym)

        await self._web.db.write(work)
        response = RedirectResponse("/keys", 303)
        stopped = f" {card.names} stopped." if card.apps else ""
        self._web.sessions.flash(response, f"{card.name} is removed and erased from here.{stopped}")
        return response

    async def check(self, request: Request) -> Response:
        signed_in, card = await self._own(request)
        provider = self._place(card)
        self._web.sessions.check(request, signed_in, await read_form(request), card.purpose)
        key = open_credential(self._web.vault, card.row, self._web.registry.environment_key)
        verdict = "unreachable" if key is None else await self._entry.verdict(signed_in.user, provider, key)
        response = RedirectResponse("/keys", 303)
        if verdict == "not asked":
            self._web.sessions.flash(response, f"{TOO_OFTEN}.", "warn")
            return response
        if verdict == "unreachable":
            said = f"{provider.called} did not answer, so nothing is known of {card.name}. Try again."
            self._web.sessions.flash(response, said, "warn")
            return response
        await self._note(signed_in.user, card, verdict)
        if verdict == "working":
            self._web.sessions.flash(response, f"{card.name} works: {provider.called} accepts it.")
        else:
            self._web.sessions.flash(response, f"{provider.called} refused {card.name} (401). Replace it.", "bad")
        return response

    async def _note(self, user: User, card: KeyCard, verdict: str) -> None:
        now = self._web.clock()

        async def work(tx: AsyncSession) -> None:
            await credentials.mark(tx, card.row, verdict, now)
            if verdict == "working":
                await quarantine.end(tx, card.row.id)
            await record(tx, now, "credential.checked", user.pseudonym, card.row.id, state=verdict)

        await self._web.db.write(work)

    async def _own(self, request: Request) -> tuple[SignedIn, KeyCard]:
        return await own_card(request, self._web)

    def _provider(self, card: KeyCard) -> Provider:
        provider = self._web.registry.get(card.row.provider)
        if provider is None:
            raise PageError(409, f"{card.provider} is no longer set up here", "Its keys can only be removed.")
        return provider

    def _place(self, card: KeyCard) -> Provider:
        """Where this key goes."""
        place = self._provider(card).at(card.row.base_url)
        if place is None:
            raise PageError(409, f"{card.name} is for another address", "Replace it, or remove it.")
        return place

    def _new(self, request: Request, signed_in: SignedIn, entered: Entered, problems: dict[str, str]) -> Response:
        registry = self._web.registry
        return self._web.pages.render(
            request,
            "key_new.html",
            status=422 if problems else 200,
            signed_in=signed_in,
            providers=[(each, label(each)) for each in registry.names()],
            takes_address=any(each.is_brought for each in map(registry.get, registry.names()) if each),
            entered=entered,
            purpose=ADD,
            problems=problems,
        )
