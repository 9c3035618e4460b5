"""/, /sign-in and /sign-out."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.forms import Form
from broker.core.secret import Secret
from broker.identity.sign_in import SignIn, Wrong
from broker.identity.throttle import Wait
from broker.store import grant_requests, users
from broker.web import messages, waiting
from broker.web.address import Addresses
from broker.web.context import Web
from broker.web.destination import HOME, destination, known_page, known_request
from broker.web.flash import Flash
from broker.web.forms import read_form, read_query

PURPOSE = "sign-in"
_CLEAR = '"cache", "storage"'
"""Not cookies: on this computer they are shared with other programs' pages on other ports."""


class SignInPages:
    def __init__(self, web: Web, sign_in: SignIn, addresses: Addresses) -> None:
        self._web = web
        self._sign_in = sign_in
        self._addresses = addresses

    async def home(self, request: Request) -> Response:
        if await self._web.sessions.current(request) is not None:
            return RedirectResponse(HOME, 303)
        anyone = await self._web.db.read(users.any_user)
        return RedirectResponse("/sign-in" if anyone else "/setup/1", 303)

    async def form(self, request: Request) -> Response:
        query = read_query(request)
        signed_in = await self._web.sessions.current(request)
        if signed_in is not None and query.one("other") is None:
            return RedirectResponse(destination(query.one("request"), query.one("next")), 303)
        flash = None
        if signed_in is None and self._web.cookies.read(request) is not None:
            still = messages.STILL_OPEN if known_request(query.one("request")) else ""
            flash = Flash(f"{messages.WERE_SIGNED_OUT} {still}".strip(), "info")
        return await self._show(request, query, flash=flash)

    async def submit(self, request: Request) -> Response:
        asked, form = read_query(request), await read_form(request)
        self._web.sessions.check(request, self._web.sessions.visitor(request), form, PURPOSE)
        email, password = form.text("email"), Secret(form.text("password"))
        problems = {}
        if not email.strip():
            problems["email"] = messages.ENTER_EMAIL
        if not password.reveal():
            problems["password"] = messages.ENTER_PASSWORD
        if problems:
            return await self._show(request, asked, email, problems=problems)
        answer = await self._sign_in(email, password, self._addresses(request))
        if isinstance(answer, Wait):
            return await self._wait(request, asked, email, answer)
        if isinstance(answer, Wrong):
            return await self._show(request, asked, email, problems={"email": messages.NOT_RIGHT})
        response = RedirectResponse(destination(asked.one("request"), asked.one("next")), 303)
        await self._web.sessions.start(request, response, answer)
        return response

    async def sign_out(self, request: Request) -> Response:
        """`request` in the form keeps a grant request in mind, for someone else to answer."""
        signed_in = await self._web.sessions.require(request)
        form = await read_form(request)
        self._web.sessions.check(request, signed_in, form, "sign-out")
        kept = known_request(form.one("request"))
        response = RedirectResponse(f"/sign-in?request={kept}" if kept else "/sign-in", 303)
        await self._web.sessions.end(response, signed_in)
        self._web.sessions.flash(response, messages.SIGNED_OUT)
        response.headers["clear-site-data"] = _CLEAR
        return response

    async def _wait(self, request: Request, asked: Form, email: str, wait: Wait) -> Response:
        now = self._web.clock()
        page = await self._show(request, asked, email, status=429, problems={"email": waiting.sentence(wait, now)})
        page.headers.update(waiting.retry_after(wait, now))
        return page

    async def _show(
        self,
        request: Request,
        asked: Form,
        email: str = "",
        *,
        status: int | None = None,
        problems: dict[str, str] | None = None,
        flash: Flash | None = None,
    ) -> Response:
        waits_for = known_request(asked.one("request"))
        kept = {"request": waits_for, "next": known_page(asked.one("next")), "other": asked.one("other") and "1"}
        app = await self._name_of_app(waits_for) if waits_for else None
        visitor = self._web.sessions.visitor(request) or self._web.sessions.new_visitor()
        response = self._web.pages.render(
            request,
            "sign_in.html",
            status=status or (422 if problems else 200),
            flash=flash,
            problems=problems or {},
            form_token=self._web.sessions.form_token(visitor, PURPOSE),
            email=email,
            query=urlencode({name: value for name, value in kept.items() if value}),
            app=app,
        )
        self._web.sessions.welcome(response, visitor)
        return response

    async def _name_of_app(self, request_id: str) -> str | None:
        found = await self._web.db.read(lambda tx: grant_requests.load_with_client(tx, request_id))
        return None if found is None else found[1].name
