"""/device: where a person enters the code that their device shows; what it asks for is decided on the consent page."""

from urllib.parse import quote, urlsplit

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.clock import MINUTE, from_seconds
from broker.core.errors import PageError
from broker.core.forms import Form
from broker.identity.throttle import Throttle, Wait
from broker.oauth.device_entry import DeviceEntry, Wrong
from broker.oauth.user_code import UserCode, read_user_code
from broker.qr import Square, square_of
from broker.settings import is_loopback
from broker.web import messages, waiting, words
from broker.web.address import Addresses
from broker.web.context import Web
from broker.web.forms import read_form, read_query
from broker.web.session import NotSignedIn, SignedIn

FIELD = "user_code"
PURPOSE = "device"
TRIES = (5, 5, 5 * MINUTE)
"""Wrong codes by one person, from one address, in how long."""

_PATH = "/device"


class DevicePages:
    def __init__(self, web: Web, entry: DeviceEntry, throttle: Throttle, addresses: Addresses) -> None:
        self._web = web
        self._entry = entry
        self._throttle = throttle
        self._addresses = addresses

    async def show(self, request: Request) -> Response:
        """An address with a code in it fills in the field, and does nothing else."""
        self._refuse_when_off()
        linked = _code_in(read_query(request))
        signed_in = await self._require(request, linked)
        return self._page(request, signed_in, "" if linked is None else linked.shown(), linked=linked)

    async def enter(self, request: Request) -> Response:
        self._refuse_when_off()
        signed_in = await self._require(request, None)
        form = await read_form(request)
        self._web.sessions.check(request, signed_in, form, PURPOSE)
        typed = form.text(FIELD)
        if not typed.strip():
            return self._page(request, signed_in, problem=messages.ENTER_DEVICE_CODE)
        entered = await self._compared(request, signed_in, _code_in(form))
        if isinstance(entered, Wait):
            return self._wait(request, signed_in, typed, entered)
        if isinstance(entered, Wrong):
            return self._page(request, signed_in, typed, problem=self._sentence(entered))
        return RedirectResponse(f"/consent/{entered}", 303, {"cache-control": "no-store"})

    async def _compared(self, request: Request, signed_in: SignedIn, code: UserCode | None) -> str | Wrong | Wait:
        """A try is counted before it is judged, and forgotten when it was right (RFC 8628 §5.1)."""
        now, user, address = self._web.clock(), signed_in.user, self._addresses(request)

        async def work(tx: AsyncSession) -> str | Wrong | Wait:
            admitted = await self._throttle.admit(tx, now, person=user.id, address=address)
            if isinstance(admitted, Wait):
                return admitted
            entered = await self._entry.enter(tx, code, user, now)
            if isinstance(entered, str):
                await admitted.forget(tx)
            return entered

        return await self._web.db.write(work)

    def _sentence(self, wrong: Wrong) -> str:
        match wrong:
            case Wrong.ENDED:
                return messages.device_code_ended(words.duration(from_seconds(self._web.settings.device_seconds)))
            case Wrong.USED:
                return messages.DEVICE_CODE_USED
            case Wrong.UNKNOWN:
                return messages.DEVICE_CODE_UNKNOWN

    def _wait(self, request: Request, signed_in: SignedIn, typed: str, wait: Wait) -> Response:
        now = self._web.clock()
        sentence = waiting.sentence(wait, now, signed_in.user.zone)
        page = self._page(request, signed_in, typed, problem=sentence, status=429)
        page.headers.update(waiting.retry_after(wait, now))
        return page

    async def _require(self, request: Request, code: UserCode | None) -> SignedIn:
        """Raises NotSignedIn, which leads back here with the code."""
        signed_in = await self._web.sessions.current(request)
        if signed_in is None:
            raise NotSignedIn(_PATH if code is None else f"{_PATH}?{FIELD}={quote(code.shown())}")
        return signed_in

    def _refuse_when_off(self) -> None:
        if not self._web.settings.device_grant:
            what = "Device codes are switched off here."
            raise PageError(403, "You cannot open this page", what, did_not="Nothing was approved.")

    def _page(
        self,
        request: Request,
        signed_in: SignedIn,
        typed: str = "",
        *,
        linked: UserCode | None = None,
        problem: str = "",
        status: int | None = None,
    ) -> Response:
        return self._web.pages.render(
            request,
            "device.html",
            status=status or (422 if problem else 200),
            signed_in=signed_in,
            problems={FIELD: problem} if problem else {},
            form_token=self._web.sessions.form_token(signed_in, PURPOSE),
            typed=typed,
            linked=linked is not None,
            square=self._square(linked),
        )

    def _square(self, linked: UserCode | None) -> Square | None:
        """This page for a telephone; None where the server is on this computer, and no telephone could reach it."""
        url = self._web.settings.public_url
        if is_loopback(urlsplit(url).hostname or ""):
            return None
        return square_of(f"{url}{_PATH}" + ("" if linked is None else f"?{FIELD}={linked.shown()}"))


def _code_in(form: Form) -> UserCode | None:
    return read_user_code(form.text(FIELD))
