"""Proof that a form is ours and was given to this very browser: stable for as long as its session."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

from starlette.requests import Request

from broker.core.forms import Form
from broker.core.handle import same
from broker.vault.vault import Vault
from broker.web.dead_end import DeadEnd

FIELD = "form_token"


class OutOfDate(DeadEnd):
    """A form that cannot be trusted to be the person's own; `back` is a fresh page to start again from."""

    def __init__(self, back: str, *, detail: str) -> None:
        what = "It was open too long, or you signed in again since. Load it again, and then repeat what you did."
        super().__init__(403, "This page is out of date", what, label="Load it again", href=back, detail=detail)


class FormTokens:
    """Makes and judges form tokens: HMAC over the session's digest and the purpose of the form."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        self._key = vault.derive("forms")
        self._origin = origin_of(public_url)

    def make(self, holder: str, purpose: str) -> str:
        """`holder` is the digest of a session's handle."""
        proof = hmac.new(self._key, f"{holder}\x1f{purpose}".encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(proof).rstrip(b"=").decode()

    def check(self, request: Request, holder: str, form: Form, purpose: str) -> None:
        """Raises OutOfDate unless the form came from our own page and holds the token of this session and purpose."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site is not None and site != "same-origin":
            raise OutOfDate(self._back(request), detail=f"sec-fetch-site {site}")
        if site is None and origin is not None and origin != self._origin:
            raise OutOfDate(self._back(request), detail="foreign origin")
        if not same(form.text(FIELD), self.make(holder, purpose)):
            raise OutOfDate(self._back(request), detail=f"form token for {purpose}")

    def _back(self, request: Request) -> str:
        path = request.url.path
        if path.startswith(("/consent/", "/device", "/sign-in", "/setup/")):
            return path + (f"?{request.url.query}" if request.url.query else "")
        referrer = request.headers.get("referer", "")
        if origin_of(referrer) != self._origin:
            return "/"
        url = urlsplit(referrer)
        return f"/{url.path.lstrip('/')}" + (f"?{url.query}" if url.query else "")


def origin_of(url: str) -> str:
    """Scheme, host and port as a browser says them in Origin; empty for what is no address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
