"""Who is looking at the demo app, kept in memory under a cookie."""

import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from broker.demo.oauth_client import Attempt, Tokens

COOKIE = "demo_notes"
MOST_VISITS = 1_000


@dataclass(slots=True)
class Visit:
    attempt: Attempt | None = None
    tokens: Tokens | None = None
    problem: str = ""
    """What went wrong, told once on the next page."""


class Visits:
    def __init__(self) -> None:
        self._known: dict[str, Visit] = {}

    def of(self, request: Request) -> Visit | None:
        return self._known.get(request.cookies.get(COOKIE, ""))

    def open(self, request: Request, response: Response) -> Visit:
        """The visit of this browser; a new one is told to the browser in the response."""
        if visit := self.of(request):
            return visit
        if len(self._known) >= MOST_VISITS:
            del self._known[next(iter(self._known))]
        name, visit = secrets.token_urlsafe(32), Visit()
        self._known[name] = visit
        response.set_cookie(COOKIE, name, httponly=True, samesite="lax")
        return visit
