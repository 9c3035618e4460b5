"""Which of a person's keys an app may use, and in which order: they and no others."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.audit.record import record
from broker.core.errors import PageError
from broker.core.forms import Form
from broker.store import credentials, granting, spare_keys
from broker.store.tables import Credential, User
from broker.web.context import Web
from broker.web.forms import read_form
from broker.web.lent import Lent, Part, key_name, require_lent

STRATEGIES = {
    "priority": "The first one, the others only when it does not serve",
    "round_robin": "Each in its turn",
    "least_used": "The one used least in the last minute",
    "affinity": "Each conversation keeps its own",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The keys of one access, as they are and as they could be."""

    part: Part
    prefix: str
    lent: list[str]
    """Ids, the first before the others."""
    usable: list[tuple[str, str]]
    """Pairs of id and name, of those that this person may lend."""

    @property
    def is_theirs(self) -> bool:
        """Whether all that is lent now could be chosen here."""
        return set(self.lent) <= {key for key, _ in self.usable}

    @property
    def strategy(self) -> str:
        return self.part.access.strategy or "priority"

    def read(self, form: Form) -> tuple[list[str], str]:
        """What was chosen, of what may be chosen: empty where the first one is no such key."""
        known = {key for key, _ in self.usable}
        first, strategy = form.text(self.prefix + "first"), form.text(self.prefix + "strategy")
        others = [key for key in form.all(self.prefix + "also") if key in known and key != first]
        kept = [key for key in self.lent if key in others]
        chosen = [first, *kept, *(key for key in others if key not in kept)] if first in known else []
        return chosen, strategy if strategy in STRATEGIES else "priority"


class GrantKeysPages:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def show(self, request: Request) -> Response:
        signed_in = await self._web.sessions.require(request)
        found, choices = await self._web.db.read(lambda tx: self._read(tx, signed_in.user, request))
        if not found.is_live:
            return RedirectResponse(found.path, 303)
        return self._web.pages.render(
            request, "grant_keys.html", signed_in=signed_in, lent=found, choices=choices, strategies=STRATEGIES
        )

    async def save(self, request: Request) -> Response:
        web = self._web
        signed_in = await web.sessions.require(request)
        form = await read_form(request)
        web.sessions.check(request, signed_in, form, f"grant:{request.path_params['grant_id']}")

        async def work(tx: AsyncSession) -> tuple[Lent, int]:
            found, choices = await self._read(tx, signed_in.user, request)
            if not found.is_live:
                raise PageError(409, "This app has ended", "Its keys cannot be changed any more.")
            return found, sum([await self._save(tx, found, each, form, signed_in.user) for each in choices])

        found, changed = await web.db.write(work)
        response = RedirectResponse(found.path, 303)
        said = f"Saved. {found.name} uses these keys from now on." if changed else "Nothing was changed."
        web.sessions.flash(response, said, "ok" if changed else "info")
        return response

    async def _read(self, tx: AsyncSession, user: User, request: Request) -> tuple[Lent, list[Choice]]:
        web = self._web
        grant_id = request.path_params["grant_id"]
        found = await require_lent(tx, web.registry, user, grant_id, web.clock())
        return found, [await self._choice(tx, part, user) for part in found.parts]

    async def _choice(self, tx: AsyncSession, part: Part, user: User) -> Choice:
        settings = self._web.settings
        usable: list[Credential] = await credentials.usable(
            tx, user=user, provider=part.access.provider, operator_keys=settings.operator_keys
        )
        names = [(row.id, key_name(row, settings.instance_name)) for row in usable]
        lent = await spare_keys.ids_of(tx, part.access)
        return Choice(part, f"access-{part.access.position}-", lent, names)

    async def _save(self, tx: AsyncSession, found: Lent, choice: Choice, form: Form, user: User) -> bool:
        chosen, strategy = choice.read(form)
        before = choice.lent, choice.part.access.strategy
        if not chosen or (chosen, strategy if len(chosen) > 1 else "") == before:
            return False
        now = self._web.clock()
        await spare_keys.lend(tx, choice.part.access, chosen, strategy)
        await granting.touch(tx, found.grant, now)
        words = f"{len(chosen)} keys, {strategy.replace('_', ' ')}" if len(chosen) > 1 else "1 key"
        await record(tx, now, "grant.keys_changed", user.pseudonym, found.grant.id, changes=words)
        return True
