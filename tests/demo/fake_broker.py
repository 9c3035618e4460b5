"""An authorization server and proxy that always says yes, or what it was told to say, and remembers what it was asked."""

import hashlib
import json
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ISSUER = "http://broker.test"
GRANTED = {
    "type": "ai_model_access",
    "provider": "sandbox",
    "models": ["sandbox-chat"],
    "actions": ["chat"],
    "budget": {"amount": "2.00", "currency": "USD"},
    "max_requests": 200,
    "rate_limit": {"requests_per_minute": 30},
    "expires_at": 1_764_410_400,
}
STREAM = b'data: {"choices":[{"index":0,"delta":{"content":"Hello there"}}]}\n\ndata: [DONE]\n\n'


@dataclass
class FakeBroker:
    issuer: str = ISSUER
    expires_in: int = 3600
    pushed: dict[str, str] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """The authorization header and the body of each call that came to the proxy."""
    proxy_answer: Response = field(default_factory=lambda: Response(STREAM, media_type="text/event-stream"))
    refresh_is_refused: bool = False

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/oauth-authorization-server", self.metadata),
                Route("/oauth/par", self.push, methods=["POST"]),
                Route("/oauth/token", self.token, methods=["POST"]),
                Route("/oauth/revoke", self.revoke, methods=["POST"]),
                Route("/proxy/sandbox/v1/chat/completions", self.proxy, methods=["POST"]),
            ]
        )

    async def metadata(self, request: Request) -> Response:
        names = {
            "authorization_endpoint": "authorize",
            "pushed_authorization_request_endpoint": "par",
            "token_endpoint": "token",
            "revocation_endpoint": "revoke",
        }
        return JSONResponse({"issuer": self.issuer, **{name: f"{ISSUER}/oauth/{end}" for name, end in names.items()}})

    async def push(self, request: Request) -> Response:
        self.pushed = await _form(request)
        return JSONResponse({"request_uri": "urn:example:1", "expires_in": 90}, 201)

    async def token(self, request: Request) -> Response:
        form = await _form(request)
        if form["grant_type"] == "refresh_token":
            return self._answer(f"fresh-{form['refresh_token']}", refused=self.refresh_is_refused)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        matches = urlsafe_b64encode(digest).rstrip(b"=").decode() == self.pushed["code_challenge"]
        same = form["redirect_uri"] == self.pushed["redirect_uri"]
        return self._answer("at-1", refused=not (matches and same and form["code"] == "good"))

    def _answer(self, token: str, *, refused: bool) -> Response:
        if refused:
            return JSONResponse({"error": "invalid_grant", "error_description": "This access has ended."}, 400)
        given = {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in, "refresh_token": "rt-1"}
        return JSONResponse({**given, "authorization_details": [GRANTED]})

    async def revoke(self, request: Request) -> Response:
        self.revoked.append((await _form(request))["token"])
        return Response()

    async def proxy(self, request: Request) -> Response:
        self.calls.append((request.headers["authorization"], await request.json()))
        return self.proxy_answer


async def _form(request: Request) -> dict[str, str]:
    scheme, _, credentials = request.headers["authorization"].partition(" ")
    assert (scheme, b64decode(credentials)) == ("Basic", b"cli_1:s3cret%2F")
    return dict(parse_qsl((await request.body()).decode(), strict_parsing=True))


def refusal(status: int, sentence: str) -> Response:
    return Response(json.dumps({"error": {"message": sentence, "type": "x", "code": "y", "param": None}}), status)
