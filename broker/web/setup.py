"""/setup/1 and /setup/2: from an empty server to its first admin, and gone afterwards."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.handle import same
from broker.core.secret import Secret
from broker.identity import setup
from broker.identity.passwords import Passwords, password_problem
from broker.identity.throttle import Throttle, Wait
from broker.identity.users import EmailTaken, read_email
from broker.web import messages, waiting
from broker.web.address import Addresses
from broker.web.context import Web
from broker.web.dead_end import DeadEnd
from broker.web.forms import read_form
from broker.web.session import Visitor

_COOKIE = "setup"
_SECONDS = 1800


class SetupPages:
    """What step 1 proved is kept in a cookie bound to this browser and to the code that was shown."""

    def __init__(self, web: Web, passwords: Passwords, throttle: Throttle, addresses: Addresses) -> None:
        self._web = web
        self._passwords = passwords
        self._throttle = throttle
        self._addresses = addresses

    async def code_form(self, request: Request) -> Response:
        await self._refuse_when_finished()
        return self._show_code(request)

    async def take_code(self, request: Request) -> Response:
        await self._refuse_when_finished()
        form = await read_form(request)
        visitor = self._web.sessions.visitor(request)
        self._web.sessions.check(request, visitor, form, "setup")
        typed = form.text("code")
        if visitor is None or not typed.strip():
            return self._show_code(request, problem=messages.ENTER_CODE)
        now, address = self._web.clock(), self._addresses(request)
        admitted = await self._web.db.write(lambda tx: self._throttle.admit(tx, now, setup=address, address=address))
        if isinstance(admitted, Wait):
            page = self._show_code(request, status=429, problem=waiting.sentence(admitted, now))
            page.headers.update(waiting.retry_after(admitted, now))
            return page
        known = await self._web.db.read(setup.current_proof)
        if known is None or not setup.is_code(typed, known):
            return self._show_code(request, problem=messages.CODE_NOT_RIGHT)
        await self._web.db.write(admitted.forget)
        response = RedirectResponse("/setup/2", 303)
        self._web.cookies.put(response, self._proof(visitor, known), _COOKIE, seconds=_SECONDS)
        return response

    async def account_form(self, request: Request) -> Response:
        await self._refuse_when_finished()
        proved = await self._proved(request)
        return RedirectResponse("/setup/1", 303) if proved is None else self._show_account(request, proved[0])

    async def make_account(self, request: Request) -> Response:
        await self._refuse_when_finished()
        form = await read_form(request)
        self._web.sessions.check(request, self._web.sessions.visitor(request), form, "setup")
        proved = await self._proved(request)
        if proved is None:
            return RedirectResponse("/setup/1", 303)
        visitor, known = proved
        typed, password = form.text("email"), Secret(form.text("password"))
        email, problem = read_email(typed), password_problem(password)
        problems = {"email": "" if email else messages.ENTER_AN_EMAIL, "password": problem or ""}
        if email is None or problem is not None:
            return self._show_account(request, visitor, typed, {at: what for at, what in problems.items() if what})
        hashed, now = await self._passwords.hash(password), self._web.clock()
        try:
            user = await self._web.db.write(lambda tx: setup.make_first_admin(tx, now, email, hashed, known))
        except EmailTaken as error:
            return self._show_account(request, visitor, typed, {"email": error.description})
        if user is None:
            await self._refuse_when_finished()
            return RedirectResponse("/setup/1", 303)
        response = RedirectResponse("/", 303)
        await self._web.sessions.start(request, response, user)
        self._web.cookies.drop(response, _COOKIE)
        self._web.sessions.flash(response, f"{self._web.settings.instance_name} is ready. You are its first admin.")
        return response

    async def _refuse_when_finished(self) -> None:
        if await self._web.db.read(setup.is_finished):
            what = "This server has an admin already."
            raise DeadEnd(404, messages.SETUP_FINISHED, what, label="Sign in", href="/sign-in")

    async def _proved(self, request: Request) -> tuple[Visitor, str] | None:
        """This browser and the digest of the code it knew, if that is still the code."""
        visitor, kept = self._web.sessions.visitor(request), self._web.cookies.read(request, _COOKIE)
        known = await self._web.db.read(setup.current_proof)
        if visitor is None or kept is None or known is None or not same(kept, self._proof(visitor, known)):
            return None
        return visitor, known

    def _proof(self, visitor: Visitor, known: str) -> str:
        return self._web.sessions.form_token(visitor, f"setup code {known}")

    def _show_code(self, request: Request, *, status: int | None = None, problem: str = "") -> Response:
        visitor = self._web.sessions.visitor(request) or self._web.sessions.new_visitor()
        response = self._web.pages.render(
            request,
            "setup_code.html",
            status=status or (422 if problem else 200),
            problems={"code": problem} if problem else {},
            form_token=self._web.sessions.form_token(visitor, "setup"),
        )
        self._web.sessions.welcome(response, visitor)
        return response

    def _show_account(
        self, request: Request, visitor: Visitor, email: str = "", problems: dict[str, str] | None = None
    ) -> Response:
        return self._web.pages.render(
            request,
            "setup_account.html",
            status=422 if problems else 200,
            problems=problems or {},
            form_token=self._web.sessions.form_token(visitor, "setup"),
            email=email,
        )
