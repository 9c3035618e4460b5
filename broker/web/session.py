"""A browser that is signed in, one that is not yet, and the proof that a form is its own."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from broker.audit.record import record
from broker.core.clock import MINUTE, Clock, from_seconds
from broker.core.errors import BrokerError
from broker.core.forms import Form
from broker.core.handle import Entropy, digest, new_handle, system_entropy
from broker.core.secret import Secret
from broker.settings import Settings
from broker.store import sessions
from broker.store.database import Database
from broker.store.tables import User
from broker.web.cookies import Cookies
from broker.web.flash import Flash, Flashes, FlashKind
from broker.web.form_token import FormTokens

_PRE = "pre"


class NotSignedIn(BrokerError):
    """Answered with a redirect to the sign-in page that keeps `path` in mind."""

    description = "Sign in to open this page."

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser that has not signed in: its cookie binds the forms it is shown to it."""

    handle: Secret

    @property
    def digest(self) -> str:
        return digest(self.handle.reveal())


@dataclass(frozen=True, slots=True)
class SignedIn(Visitor):
    user: User


class Sessions:
    """Starts, finds and ends sessions; a session is a row, and its cookie a handle that only the browser has."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        cookies: Cookies,
        tokens: FormTokens,
        flashes: Flashes,
        entropy: Entropy = system_entropy,
    ) -> None:
        self._db = db
        self._clock = clock
        self._cookies = cookies
        self._tokens = tokens
        self._flashes = flashes
        self._entropy = entropy
        self._idle = from_seconds(settings.session_idle_seconds)
        self._longest = from_seconds(settings.session_max_seconds)

    async def current(self, request: Request) -> SignedIn | None:
        handle = self._cookies.read(request)
        if handle is None:
            return None
        now = self._clock()
        key = digest(handle)
        found = await self._db.read(lambda tx: sessions.find(tx, key, now, self._idle))
        if found is None:
            return None
        session, user = found
        if now - session.seen_at >= MINUTE:
            await self._db.write(lambda tx: sessions.touch(tx, key, now))
        return SignedIn(Secret(handle), user)

    async def require(self, request: Request) -> SignedIn:
        """Raises NotSignedIn."""
        signed_in = await self.current(request)
        if signed_in is None:
            raise NotSignedIn(request.url.path)
        return signed_in

    def visitor(self, request: Request) -> Visitor | None:
        handle = self._cookies.read(request, _PRE)
        return None if handle is None else Visitor(Secret(handle))

    def new_visitor(self) -> Visitor:
        """To be given to `welcome` with the answer that shows the first form."""
        return Visitor(Secret(new_handle("pre", self._entropy)))

    def welcome(self, response: Response, visitor: Visitor) -> None:
        self._cookies.put(response, visitor.handle.reveal(), _PRE)

    def form_token(self, holder: Visitor, purpose: str) -> str:
        return self._tokens.make(holder.digest, purpose)

    def check(self, request: Request, holder: Visitor | None, form: Form, purpose: str) -> None:
        """Raises OutOfDate unless the form is this browser's own; a browser without any cookie has none."""
        self._tokens.check(request, "" if holder is None else holder.digest, form, purpose)

    async def start(self, request: Request, response: Response, user: User) -> SignedIn:
        """Signs this browser in under a new handle; whatever session it had before ends."""
        signed_in = SignedIn(Secret(new_handle("ses", self._entropy)), user)
        now = self._clock()
        before = self._cookies.read(request)

        async def work(tx: AsyncSession) -> None:
            if before is not None:
                await sessions.end(tx, digest(before))
            await sessions.sweep(tx, now, self._idle)
            await sessions.add(tx, signed_in.digest, user.id, now, now + self._longest)
            await record(tx, now, "session.started", user.pseudonym, user.id)

        await self._db.write(work)
        self._cookies.put(response, signed_in.handle.reveal(), seconds=self._longest // from_seconds(1))
        self._cookies.drop(response, _PRE)
        return signed_in

    async def end(self, response: Response, signed_in: SignedIn) -> None:
        now, user = self._clock(), signed_in.user

        async def work(tx: AsyncSession) -> None:
            if await sessions.end(tx, signed_in.digest):
                await record(tx, now, "session.ended", user.pseudonym, user.id)

        await self._db.write(work)
        self._cookies.drop(response)

    def flash(self, response: Response, text: str, kind: FlashKind = "ok") -> None:
        """Shows the sentence once, on the next page."""
        self._flashes.put(response, Flash(text, kind))
