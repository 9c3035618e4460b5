"""One sentence carried over a redirect in a signed cookie and shown once."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from broker.core.handle import same
from broker.vault.vault import Vault
from broker.web.cookies import Cookies

SECONDS = 60
MOST_CHARACTERS = 600

FlashKind = Literal["ok", "info", "warn", "bad"]
_KINDS: tuple[FlashKind, ...] = ("ok", "info", "warn", "bad")
_COOKIE = "flash"


@dataclass(frozen=True, slots=True)
class Flash:
    text: str
    kind: FlashKind = "ok"


class Flashes:
    def __init__(self, vault: Vault, cookies: Cookies) -> None:
        self._key = vault.derive("flash")
        self._cookies = cookies

    def put(self, response: Response, flash: Flash) -> None:
        payload = json.dumps([flash.kind, flash.text[:MOST_CHARACTERS]]).encode()
        body = urlsafe_b64encode(payload).decode()
        self._cookies.put(response, f"{body}.{self._sign(body)}", _COOKIE, seconds=SECONDS)

    def take(self, request: Request) -> Flash | None:
        """What was put, if it is truly ours."""
        body, _, proof = (self._cookies.read(request, _COOKIE) or "").partition(".")
        if not body or not same(proof, self._sign(body)):
            return None
        kind, text = json.loads(urlsafe_b64decode(body))
        return Flash(str(text), next((known for known in _KINDS if known == kind), "info"))

    def drop(self, request: Request, response: Response) -> None:
        if self._cookies.read(request, _COOKIE) is not None:
            self._cookies.drop(response, _COOKIE)

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()
