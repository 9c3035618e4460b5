"""One key as its owner, or whoever it is lent to, is shown it."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from broker.core.credential import masked
from broker.core.errors import PageError
from broker.ledger.overall_used import Used, used_on_key
from broker.store import credentials, lent, quarantine
from broker.store.tables import Credential, User
from broker.web.context import Web
from broker.web.key_entry import key_title
from broker.web.lent import app_name, called, has_key
from broker.web.session import SignedIn
from broker.web.words import listed

_RESTS = {
    "rate_limited": "Limited by its provider",
    "refused": "Refused by its provider",
    "no_credit": "Out of credit at its provider",
}
_STATES = {"working": ("Working", "ok"), "unchecked": ("Not checked yet", "")}


@dataclass(frozen=True, slots=True)
class KeyCard:
    """One key as it is shown: never more of it than its ends, and nothing of the operator's."""

    row: Credential
    ends: str
    tag: tuple[str, str]
    apps: list[tuple[str, str]]
    """Pairs of a grant's path and its app's name."""
    limit: Used | None
    """Of all apps of this person on it."""
    rests: tuple[str, int] | None
    """Why its provider takes no requests with it for a while, and until when."""

    @property
    def name(self) -> str:
        return key_title(self.row.name)

    @property
    def provider(self) -> str:
        """A provider, or the host of a server of their own."""
        return called(self.row)

    @property
    def path(self) -> str:
        return f"/keys/{self.row.id}"

    @property
    def purpose(self) -> str:
        return f"key:{self.row.id}"

    @property
    def names(self) -> str:
        return listed([name for _, name in self.apps])


async def card_of(tx: AsyncSession, web: Web, row: Credential, user: User, now: int) -> KeyCard:
    borrowers = await lent.borrowers(tx, row.id, now)
    apps = [(f"/grants/{grant.id}", app_name(client)) for grant, client in borrowers if grant.user_id == user.id]
    ends = masked(row.prefix, row.last_four) if row.user_id == user.id else ""
    resting = (await quarantine.of(tx, [row], now)).get(row.id)
    rests = None if resting is None else (_RESTS[resting.cause], resting.until)
    return KeyCard(row, ends, _tag(web, row), apps, await used_on_key(tx, user.id, row, now), rests)


async def own_card(request: Request, web: Web) -> tuple[SignedIn, KeyCard]:
    """Raises PageError 404, also for another person's key and the operator's."""
    signed_in = await web.sessions.require(request)
    now, user = web.clock(), signed_in.user

    async def work(tx: AsyncSession) -> KeyCard | None:
        row = await credentials.load(tx, request.path_params["credential_id"])
        if row is None or row.user_id != user.id or row.removed_at is not None:
            return None
        return await card_of(tx, web, row, user, now)

    card = await web.db.read(work)
    if card is None:
        raise PageError(404, "There is no such key here", "It was removed, or it belongs to somebody else.")
    return signed_in, card


def _tag(web: Web, row: Credential) -> tuple[str, str]:
    if row.state == "refused":
        return f"Refused by {called(row)}", "bad"
    if not has_key(row, web.registry):
        return "Servers of your own are not used here now" if row.base_url else "Missing", "bad"
    return _STATES[row.state]
