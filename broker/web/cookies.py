"""The cookies: their names and how they are set. Over https each is bound to the host by its name."""

from typing import Literal, cast

from starlette.requests import Request
from starlette.responses import Response

_LAX = cast('Literal["lax"]', "Lax")
"""As the standard spells it: starlette writes it as it is given, and its type knows lower case only."""


class Cookies:
    def __init__(self, *, secure: bool) -> None:
        self._secure = secure

    def name(self, kind: str = "") -> str:
        """`__Host-broker` over https, `broker` on this computer; `kind` makes broker-pre, broker-flash and so on."""
        name = f"broker-{kind}" if kind else "broker"
        return f"__Host-{name}" if self._secure else name

    def read(self, request: Request, kind: str = "") -> str | None:
        return request.cookies.get(self.name(kind)) or None

    def put(self, response: Response, value: str, kind: str = "", *, seconds: int | None = None) -> None:
        """Without `seconds` it lives as long as the browser is open."""
        response.set_cookie(
            self.name(kind), value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite=_LAX
        )

    def drop(self, response: Response, kind: str = "") -> None:
        response.delete_cookie(self.name(kind), path="/", secure=self._secure, httponly=True, samesite=_LAX)
