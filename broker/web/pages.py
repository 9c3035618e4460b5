"""Pages: what all of them show, and the same strict headers on each."""

from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse

from broker.core.clock import Clock
from broker.settings import Settings
from broker.web import words
from broker.web.flash import Flash, Flashes
from broker.web.form_token import FormTokens
from broker.web.static import StaticFiles

if TYPE_CHECKING:
    from broker.web.session import SignedIn

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ON_THE_REQUESTS_WAY = ("/oauth/authorize", "/sign-in", "/confirm-you", "/consent/", "/device")
"""Where COOP would cut an app's popup off from the window that opened it."""
_NO_REFERRER = ("/oauth/authorize", "/consent/", "/device")


class Pages:
    def __init__(
        self, settings: Settings, clock: Clock, tokens: FormTokens, flashes: Flashes, static: StaticFiles
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._flashes = flashes
        self._installation = {
            "instance": settings.instance_name,
            "contact": settings.contact,
            "asset": static.address,
        }

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        signed_in: "SignedIn | None" = None,
        flash: Flash | None = None,
        **context: object,
    ) -> HTMLResponse:
        """A page in the person's own time zone.

        `problems` in the context maps the id of a field to what is wrong with it, and is listed first of all;
        `token(purpose)` makes a form token; a flash that waits is shown and gone.
        """
        carried = self._flashes.take(request)
        zone = signed_in.user.zone if signed_in is not None else "UTC"
        now = self._clock()
        values: dict[str, object] = {
            **self._installation,
            "signed_in": signed_in,
            "flash": flash or carried,
            "problems": {},
            "path": request.url.path,
            "not_you": not_you(request.url.path),
            "now": now,
            "zone": zone,
            "zone_label": words.zone_label(zone, now),
            "token": partial(self._tokens.make, signed_in.digest) if signed_in is not None else None,
        }
        from broker.web.templates import environment  # a worker that shows no page does not have it in memory

        text = environment().get_template(template).render(values | context)
        response = HTMLResponse(text, status, headers=page_headers(request.url.path))
        self._flashes.drop(request, response)
        return response


def not_you(path: str) -> str:
    """Where someone else does the same in the place of this person; empty away from the pages that decide."""
    if path == "/device":
        return "/sign-in?next=/device&other=1"
    _, *parts = path.split("/")
    return f"/sign-in?request={parts[1]}&other=1" if len(parts) == 2 and parts[0] == "consent" else ""


def page_headers(path: str) -> dict[str, str]:
    """The headers of every page."""
    headers = {
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer" if path.startswith(_NO_REFERRER) else "same-origin",
        "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
    }
    if not path.startswith(_ON_THE_REQUESTS_WAY):
        headers["cross-origin-opener-policy"] = "same-origin"
    return headers
