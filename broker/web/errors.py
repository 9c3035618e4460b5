"""Each error as its reader needs it: a page for people, JSON for programs; its detail goes to the log alone."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from broker.core.errors import BadForm, BrokerError, PageError, Unavailable
from broker.oauth.request import UntrustedRequest
from broker.ops.log import logger
from broker.web.context import Web
from broker.web.dead_end import DeadEnd
from broker.web.destination import sign_in_address
from broker.web.session import NotSignedIn, SignedIn

_PROGRAMS = ("/oauth/", "/.well-known/", "/schemas/", "/proxy/", "/health/", "/openapi.json", "/metrics")
_PEOPLE = "/oauth/authorize"

_CODES = {
    400: "invalid_request",
    401: "invalid_token",
    403: "access_denied",
    404: "not_found",
    405: "method_not_allowed",
    410: "gone",
    413: "too_large",
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}
_NOT_FOUND = ("Page not found", "There is no such page here, or it is not yours to see.")
_TITLES = {
    403: ("You cannot open this page", "Your account may not see it."),
    404: _NOT_FOUND,
    405: _NOT_FOUND,
    410: ("This has ended", "It was open for a limited time."),
    413: ("That is too large", "It is larger than this server takes."),
    429: ("Too many tries", "Wait a few minutes, then try again."),
}
_FOR_PROGRAMS = {404: "There is nothing at this path.", 405: "This path does not take this method."}
_UNREADABLE = ("We could not read that request", "It was incomplete, or not in the form that our pages send.")
_BROKEN = "Something broke on our side"

Handler = Callable[[Request, Any], Any]


class Errors:
    """The exception handlers of the app."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._log = logger("web")

    def handlers(self) -> Mapping[Any, Handler]:
        return {
            PageError: self.dead_end,
            BadForm: self.bad_form,
            Unavailable: self.unavailable,
            NotSignedIn: self.not_signed_in,
            HTTPException: self.http,
            Exception: self.broken,
        }

    async def dead_end(self, request: Request, error: PageError) -> Response:
        if error.detail:
            self._log.info("page_error", status=error.status, detail=error.detail, **_numbered(request))
        if is_for_programs(request):
            return as_json(error.status, error.description)
        return await self._page(request, error)

    async def bad_form(self, request: Request, error: BadForm) -> Response:
        self._log.info("bad_form", detail=error.detail, **_numbered(request))
        if is_for_programs(request):
            return as_json(400, error.description)
        return await self._page(request, PageError(400, *_UNREADABLE))

    async def not_signed_in(self, request: Request, error: NotSignedIn) -> Response:
        return RedirectResponse(sign_in_address(error.path), 303, {"cache-control": "no-store"})

    async def http(self, request: Request, error: HTTPException) -> Response:
        title, what = _TITLES.get(error.status_code, _UNREADABLE)
        if is_for_programs(request):
            response: Response = as_json(error.status_code, _FOR_PROGRAMS.get(error.status_code, f"{title}."))
        else:
            response = await self._page(request, PageError(error.status_code, title, what))
        response.headers.update(error.headers or {})
        return response

    async def unavailable(self, request: Request, error: Unavailable) -> Response:
        self._log.error("unavailable", detail=error.detail, **_numbered(request))
        if is_for_programs(request):
            response: Response = as_json(503, error.description)
        else:
            name = self._web.settings.instance_name
            what = f"{name} is starting, being updated, or cannot reach its database. Try again in a minute."
            response = self._render(request, PageError(503, f"{name} does not answer", what), None)
        response.headers["retry-after"] = str(error.retry_after)
        return response

    async def broken(self, request: Request, error: Exception) -> Response:
        self._log.error("broken", exc_info=error, **_numbered(request))
        if is_for_programs(request):
            return as_json(500, f"{_BROKEN}.")
        did_not = "Nothing was changed." if request.method in ("GET", "HEAD") else "Nothing was confirmed to be done."
        page = PageError(500, _BROKEN, "The time and error number are recorded.", did_not=did_not)
        return self._render(request, page, None)

    async def _page(self, request: Request, error: PageError) -> Response:
        try:
            signed_in = await self._web.sessions.current(request)
        except BrokerError:
            signed_in = None
        return self._render(request, error, signed_in)

    def _render(self, request: Request, error: PageError, signed_in: SignedIn | None) -> Response:
        label, href = (error.label, error.href) if isinstance(error, DeadEnd) else ("Go to the start page", "/")
        did_not, for_developer = error.did_not, {}
        if isinstance(error, UntrustedRequest):
            did_not = ""  # its own sentence says it
            for_developer = {"Reason": error.reason, "Client": error.client_id, "Address": error.address}
        return self._web.pages.render(
            request,
            "error.html",
            status=error.status,
            signed_in=signed_in,
            title=error.title,
            what=error.description,
            did_not=did_not,
            for_developer={name: text for name, text in for_developer.items() if text},
            label=label,
            href=href,
            request_id=_numbered(request)["request_id"],
        )


def is_for_programs(request: Request) -> bool:
    path = request.url.path
    return path.startswith(_PROGRAMS) and path != _PEOPLE


def as_json(status: int, description: str) -> JSONResponse:
    body = {"error": _CODES.get(status, "invalid_request"), "error_description": description}
    return JSONResponse(body, status, {"cache-control": "no-store"})


def _numbered(request: Request) -> dict[str, str]:
    return {"request_id": getattr(request.state, "request_id", "")}
